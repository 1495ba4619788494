"""One page of runs or a study: scores, losses, films to play, what was run. Works on a phone, and without network."""

from __future__ import annotations

from pathlib import Path

from framecast.commands._parser import Parser

EXAMPLE = "framecast report studies/annealing --out report.html --pdf report.pdf"


def run(arguments: list[str]) -> int:
    parser = Parser("report", "One self-contained HTML page of runs, as far as they have come.", EXAMPLE)
    parser.add_argument("runs", type=str, nargs="+", help="run folders, studies, or folders of runs")
    parser.add_argument("--out", type=str, default=None, help="the page (default: report.html in the first folder)")
    parser.add_argument("--title", type=str, default=None, help="of the page (default: the folders' names)")
    parser.add_argument("--pdf", type=str, default=None, help="print it to this file too; needs Chromium or Chrome")
    parser.add_argument("--markdown", type=str, default=None, help="write this .md too, with its figures beside it")
    options = parser.parse(arguments)
    paths = [Path(path) for path in options.runs]
    if options.out and Path(options.out).is_dir():
        parser.error(f"--out is a file such as report.html, and {options.out} is a folder")
    title = options.title or ", ".join(dict.fromkeys(path.resolve().name for path in paths))
    report(paths, Path(options.out) if options.out else paths[0] / "report.html", title, options.pdf, options.markdown)
    return 0


def report(paths: list[Path], out: Path, title: str, pdf: str | None, markdown: str | None) -> None:
    """Reads, draws, writes and says what came out."""
    from framecast import effects
    from framecast.atomic import write_text
    from framecast.progress import bar
    from framecast.report import folders, paper
    from framecast.report.page import page

    browser = paper.browser() if pdf else ""  # before any work: there may be none
    runs = folders.find(paths)
    kept = [path / "study.json" for path in paths if (path / "study.json").is_file()]
    studied = [table for file in kept for table in effects.tables(*effects.read(file))]
    with bar("films", unit=" pictures") as progress:
        write_text(out, page(runs, title, progress, studied))
    count, size = f"{len(runs)} run{'s' * (len(runs) > 1)}", out.stat().st_size / 1e6
    print(f"{out}: {count}, {size:.1f} MB. Open it in any browser; it needs no network.")
    for found in runs:
        for text in filter(None, [found.state, *found.notes]):
            print(f"  {found.label}: {text}")
    if pdf:
        print(f"{paper.print_pdf(browser, out, Path(pdf))}: the same on paper.")
    if markdown:
        print(f"{paper.markdown(runs, title, Path(markdown), studied)}: the same as Markdown, its figures beside it.")
