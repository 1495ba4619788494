"""Sphinx settings: Markdown pages, the furo theme, nothing from another site.

Formulas are written as code hosts read them ($...$ and math fences) and become MathML here, which browsers draw by
themselves: the usual ways are a script from another site, or LaTeX.
"""

import re

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

project = "framecast"
author = "the framecast authors"
extensions = ["myst_parser"]
html_theme = "furo"
html_math_renderer = "mathml"
html_title = "framecast"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
TAG = re.compile(r"\\tag\{(.+?)\}")


def mathml(self, node):
    """A formula, with the number that it is tagged with."""
    block, text = node.tagname == "math_block", node.astext()
    formula = tex2mathml(TAG.sub("", text), as_block=block)
    formula = formula.replace("<mi>log</mi>", '<mi>log</mi><mspace width="0.17em"/>')  # else log p is drawn as logp
    if block:  # on a phone a long formula is drawn sideways beside its number
        number = "".join(f"<span>({tag})</span>" for tag in TAG.findall(text))
        formula = f'<div style="flex: 1; min-width: 0; overflow-x: auto">{formula}</div>'
        formula = f'<div style="display: flex; align-items: center; gap: 1em">{formula}{number}</div>'
    self.body.append(formula)
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))
