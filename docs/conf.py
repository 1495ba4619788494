"""Sphinx settings: Markdown pages, the furo theme, nothing from another site."""

project = "framecast"
author = "the framecast authors"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "framecast"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
