"""What benchmarks write into the pages of the docs: between two marks, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from framecast.atomic import replacing

DOCS = Path(__file__).parents[1] / "docs"
END = "<!-- end of the table -->"


def put(page: str, command: str, text: str) -> None:
    """Writes the text into docs/PAGE, between the mark that names the command and the next end."""
    file, begin = DOCS / page, f"<!-- table: {command} -->"
    before, mark, rest = file.read_text().partition(begin)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{file} has lost its marks {begin} and {END}.")
    with replacing(file) as partial:
        partial.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{END}{after}")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
