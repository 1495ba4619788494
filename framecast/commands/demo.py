"""See it work: draw a dancer, train for two and a half minutes, predict 629 unseen frames."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from framecast.commands._parser import Parser

EXAMPLE = "framecast demo   or, with the course's model beside it:   framecast demo --compare"


def run(arguments: list[str]) -> int:
    parser = Parser(
        "demo", "From nothing to a predicted dance of 629 frames beside the truth, in one command.", EXAMPLE
    )
    parser.add_argument("--out", type=str, default="demo", help="folder for everything it makes (default: demo)")
    parser.add_argument("--minutes", type=float, default=2.5, help="training time of each model (default: 2.5)")
    parser.add_argument("--frames", type=int, default=3000, help="training frames of the dancer (default: 3000)")
    parser.add_argument("--horizon", type=int, default=629, help="frames to predict (default: 629)")
    parser.add_argument("--seed", type=int, default=0, help="of the dancer and of training (default: 0)")
    parser.add_argument("--size", type=str, default="32x64", help="HEIGHTxWIDTH of the frames (default: 32x64)")
    parser.add_argument("--compare", action="store_true", help="also train pose_cvae, the course's model, for as long")
    options = parser.parse(arguments)
    from framecast.metrics.frame import SSIM_WINDOW
    from framecast.sources.dancer import TEST_FRAMES
    from framecast.values import size_of

    if not 1 <= options.horizon < TEST_FRAMES:
        most = TEST_FRAMES - 1
        parser.error(f"--horizon is 1 to {most}, the frames of the dance after the given one, not {options.horizon}")
    if min(size_of(options.size) or (0, 0)) < SSIM_WINDOW:
        parser.error(f"--size {options.size}: sides of {SSIM_WINDOW} pixels or more, which SSIM's window needs")
    if not options.minutes > 0:
        parser.error(f"--minutes must be above 0, not {options.minutes:g}")
    out = Path(options.out)
    if out.exists():
        raise FileExistsError(f"{out} exists already. Remove it, or give another place: framecast demo --out demo2")
    demo(options, out)
    return 0


def demo(options: Namespace, out: Path) -> None:
    """Draws, packs, trains, predicts, and says what was made."""
    from framecast.commands import evaluate as evaluation
    from framecast.commands import train
    from framecast.commands.pack import pack

    begun = time.monotonic()
    store, runs = out / "store", []
    models = ["anchor", "pose_cvae"] if options.compare else ["anchor"]
    print(f"1. A dancer is drawn and packed: {options.frames} frames to learn from, others to predict.")
    sizes = {"train": options.frames, "val": 630, "test": 1, "seed": options.seed, "size": options.size}
    pack(sizes, "dancer", str(store), None)
    for model in models:
        print(
            f"\n2. `{model}` trains for {options.minutes:g} minutes. It has never seen the dances that it will predict."
        )
        runs.append(out / model)
        arguments = ["--data", str(store), "--out", str(runs[-1]), "--model", model, "--minutes", str(options.minutes)]
        train.run([*arguments, "--seed", str(options.seed), "--val_episodes", "1"])
    print(f"\n3. From one frame and {options.horizon} poses of an unseen dance (test), {options.horizon} frames:")
    asked = ["--data", str(store), "--split", "test", "--horizon", str(options.horizon), "--seed", str(options.seed)]
    evaluation.run([*map(str, runs), *asked, "--context", "1", "--out", str(out / "result")])
    minutes = (time.monotonic() - begun) / 60
    print(
        f"\nDone in {minutes:.1f} minutes. Look at:\n"
        f"  {out}/result/film-0.gif    pose | truth | prediction | error, all {options.horizon} frames\n"
        f"  {out}/result/psnr-0.png    the score of every frame: it does not fall, as nothing drawn is fed back\n"
        f"  {out}/result/strip-0.png   eight moments side by side\n"
        f"  {out}/anchor/training.png  how it learned\n"
        "Try next:\n"
        f"  framecast predict {out}/anchor --data {store} --split test --samples 3 --out futures.gif\n"
        f"  framecast train --data {store} --model anchor --minutes 10 --out runs/longer\n"
        "  framecast pack dance YOUR/DANCE --out stores/mine     (frames and poses as numbered PNGs)\n"
        "  framecast pack npz YOUR/RECORDINGS --help             (robots: frames and actions)"
    )
