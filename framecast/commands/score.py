"""Score a submission.csv: PSNR and SSIM of every predicted frame, beside the copy baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framecast.commands._parser import Parser, table

EXAMPLE = "framecast score out/submission.csv --truth data/dance"


def run(arguments: list[str]) -> int:
    what = (
        "Checks a submission.csv, every fault by its line, and scores its frames against the truth; with --board,"
        " all hand-ins of a folder, ranked."
    )
    parser = Parser("score", what, EXAMPLE)
    told = "the file: id and C x H x W values 0..255 of a frame in each row"
    parser.add_argument("submission", type=str, nargs="?", default=None, help=told)
    parser.add_argument("--board", type=str, default=None, help="a folder of NAME.csv or NAME/submission.csv instead")
    parser.add_argument("--truth", type=str, required=True, help="a .csv like it, or ROOT with test/test_truth/0/*.png")
    parser.add_argument("--size", type=str, default="32x64", help="HEIGHTxWIDTH of the frames (default: 32x64)")
    parser.add_argument(
        "--length", type=int, default=630, help="frames of a sequence, the given one too (default: 630)"
    )
    parser.add_argument("--out", type=str, default=None, help=".json or .csv: every frame; of a board .html (and .csv)")
    options = parser.parse(arguments)
    if options.length < 2:
        parser.error(f"--length must be 2 or more (a given frame, one to score), not {options.length}")
    if (options.submission is None) == (options.board is None):
        parser.error("give either a submission.csv, or the folder of all hand-ins with --board DIR")
    allowed = (".json", ".csv") if options.board is None else (".html",)
    if options.out and Path(options.out).suffix not in allowed:
        parser.error(f"--out is a {' or '.join(allowed)} file, not {options.out}")
    if options.board and options.out and Path(options.board).resolve() in Path(options.out).resolve().parents:
        parser.error(f"--out {options.out} lies among the hand-ins, and would be taken for one; put it elsewhere")
    if options.out:
        written = Path(options.out) if options.board is None else Path(options.out).with_suffix(".csv")
        if written.resolve() in {Path(path).resolve() for path in (options.submission, options.truth) if path}:
            parser.error(f"--out {options.out} would replace {written}, which is read; give another name")
    (score if options.board is None else board)(options)
    return 0


def score(options: Any) -> None:
    """Reads, checks, scores, prints and writes."""
    from framecast import scoring, submission
    from framecast.values import size_of

    size = size_of(options.size) or (32, 64)
    channels = scoring.channels_of(submission.values_of(options.submission), size, options.submission)
    truth = scoring.truth_of(options.truth, size, channels, options.length)
    scoring.whole_sequences("truth", len(truth), options.length)
    rows = submission.read_submission(options.submission, truth.shape)
    scored = scoring.score(rows, truth, size, options.length)
    shape = f"{channels} x {size[0]} x {size[1]}"
    print(f"{options.submission}: {len(scored)} sequences of {options.length} frames ({shape}), no fault")
    show(scored)
    print(f"Mean of the PSNR of {options.length - 1} frames: the first one of a sequence was given and does not count.")
    for note in scoring.not_given(one.given for one in scored):
        print(f"Note: {note}")
    if options.out:
        print(f"Every frame's numbers are in {write(Path(options.out), scored, options)}")


def board(options: Any) -> None:
    """All hand-ins of a folder: ranked, printed, and written as a page with a .csv beside it."""
    from datetime import datetime

    from framecast import board, progress, scoring
    from framecast.atomic import write_text
    from framecast.report.board import page
    from framecast.values import size_of

    size = size_of(options.size) or (32, 64)
    board.hand_ins(Path(options.board))  # an empty folder is said before a truth is read
    truth = scoring.truth_of(options.truth, size, length=options.length)
    scoring.channels_of(truth.shape[1], size)
    scoring.whole_sequences("truth", len(truth), options.length)
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    with progress.bar("hand-ins", " files") as update:
        made_of = (Path(options.board), truth, size, options.length, made, update, [Path(options.truth)])
        found = board.collect(*made_of)
    header, rows = board.lines(found)
    print(table(rows, header))
    print(f"Mean of the PSNR of {options.length - 1} frames: the first one of a sequence was given and does not count.")
    for row in found.rows:
        for note in row.notes:
            print(f"Note: {row.name}: {note}")
    for one in found.refused:
        print("\n  ".join([f"Not ranked: {one.name}", *one.faults]))
    if options.out:
        out = Path(options.out)
        write_text(out, page(found))
        print(f"The board is {out}, and its numbers {board.write_csv(out.with_suffix('.csv'), found)}")


def show(scored: list[Any]) -> None:
    """The table: a line for each sequence, the mean last; what copying the first frame scores stands beside."""
    import numpy as np

    lines = [[s.name, *(float(v.mean()) for v in (s.psnr, s.ssim, s.copy_psnr, s.copy_ssim))] for s in scored]
    lines.append(["mean", *np.mean([line[1:] for line in lines], 0)])
    rows = [[name, f"{p:.2f}", f"{s:.4f}", f"{cp:.2f}", f"{cs:.4f}"] for name, p, s, cp, cs in lines]
    print(table(rows, ["sequence", "PSNR (dB)", "SSIM", "copy first: PSNR", "SSIM"]))


def write(path: Path, scored: list[Any], options: Any) -> Path:
    """Every predicted frame's numbers, whole or not at all."""
    import csv
    import json

    from framecast.atomic import replacing

    names = ("psnr", "ssim", "copy_psnr", "copy_ssim")
    with replacing(path) as partial, open(partial, "w", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.writer(file)
            writer.writerow(["sequence", "frame", *names])
            for one in scored:
                columns = [getattr(one, name).tolist() for name in names]
                writer.writerows([one.name, t, *row] for t, row in enumerate(zip(*columns, strict=True), 1))
            return path
        rules = (
            "PSNR and SSIM per frame on uint8 / 255, data range 1; the given first frame of a sequence does not count"
        )
        found = [{"name": one.name, **{name: getattr(one, name).tolist() for name in names}} for one in scored]
        about = {"submission": options.submission, "truth": options.truth, "size": options.size, "rules": rules}
        json.dump({**about, "length": options.length, "sequences": found}, file, indent=1)
    return path
