"""A page that is one file: no network, and nothing in it that a name or a file could start."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path

STATIC = Path(__file__).parent / "static"


def document(title: str, kind: str, body: str) -> str:
    """The whole page.

    Its policy lets only its own style and script run, and pictures that are written in it.

    Args:
        title: as text.
        kind: whose style and script: all static/KIND*.css and .js, in order of their names.
        body: as HTML, escaped by who made it.
    """
    style, script = (
        "\n".join(file.read_text(encoding="utf-8") for file in sorted(STATIC.glob(f"{kind}*.{ending}")))
        for ending in ("css", "js")
    )
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
