"""Speed of framecast's `svg` and `latent` beside the plain transcription of SVG's loop, alternating in one run.

    python benchmarks/speed_svg.py [--rounds 5] [--out FILE]

The reference is `reference_svg.py`: VGG64, fp32, one frame of every clip at a time. It trains in two ways: with an
encoder call for each frame, and as published, with one for the input and one for the target of every step (22 for 12
frames; the same numbers, later). Both sides train on 8 clips of 12 frames (2 given), the truth fed throughout; only
framecast's side reads its batches from a store. Its latent trains on the same clips with framecast's defaults. Frames
are those that are drawn, of a clip 11 by svg, 10 by latent.

Generation is of 28 frames after 2 given ones of one video. The published loop draws one sample after another, so that
the plain side is as many rollouts of batch 1; they all cost the same, and it draws only a few. framecast draws all 100,
with the batches, keys and bytes of `framecast evaluate`.

Packing is of the extracted BAIR form (PNGs and .csv) in a process of its own, worker start included; the files were
just written, so that it reads memory rather than a disk. Ratios are the median of the rounds' ratios. framecast's sides
run in a process set up as its command line sets it up.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import reference_svg as reference
import torch
from alternating import Sides, alternate, middle, output_of, ratios, results_file, stepping
from PIL import Image

from framecast import models
from framecast.data import Batches
from framecast.evaluate import FRAMES_AT_ONCE, portions
from framecast.export import table
from framecast.objective import Objective
from framecast.packing import pack
from framecast.rollout import CHUNK, as_bytes, channels_last, roll
from framecast.sources.dancer import draw
from framecast.store import Store
from framecast.training.muon import Muon
from framecast.training.run import provenance
from framecast.values import tensor
from framecast.workers import cores

SIDE, CONTEXT, SEQUENCE = 64, 2, 30  # pixels; given frames; frames of a sequence, and of a generated film
CLIPS, LENGTH = 8, 12
BETA = 1e-4
PAIRS = {
    "svg training": ("svg trains", "plain trains, encoding once"),
    "svg training, as published": ("svg trains", "plain trains"),
    "svg generation": ("svg generates", "plain generates"),
    "latent training": ("latent trains", "svg trains"),
}
ASKED = {"svg training": 2.5, "svg training, as published": 2.5, "svg generation": 5.0, "latent training": 10.0}
PACKING_ASKED = 3000  # frames a second on two cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=100, help="that framecast draws (default: 100)")
    parser.add_argument("--plain-samples", type=int, default=4, help="that the plain loop draws (default: 4)")
    parser.add_argument("--sequences", type=int, default=200, help="that are packed (default: 200)")
    parser.add_argument("--out", type=Path, default=results_file("speed_svg"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_bair(folder / "bair", options.sequences)
        packed = [packing(folder, options.sequences) for _ in range(options.rounds + 1)][1:]
        store = pack("bair", {"root": str(folder / "bair"), "condition": "none"}, folder / "store")
        make = partial(sides, samples=options.samples, plain_samples=options.plain_samples)
        rates = alternate(make, store.root, PAIRS, options.rounds)
    results = {
        "ratios": ratios(rates, PAIRS),
        "frames_per_second": {name: statistics.median(values) for name, values in rates.items()},
        "packing_frames_per_second": middle(packed),
        "packing_cores": cores(),
        "samples": options.samples,
        "plain_samples": options.plain_samples,
        "packed_sequences": options.sequences,
        "rounds": options.rounds,
        "date": datetime.date.today().isoformat(),
        "made_with": provenance(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{'':28}{'asked':>9}{'found':>9}   (lowest to highest round)")
    for name, (_, beside) in PAIRS.items():
        show(name, ASKED[name], results["ratios"][name], ".1f", f"x {beside!r}")
    show("packing BAIR", PACKING_ASKED, results["packing_frames_per_second"], ",.0f", f"frames/s, {cores()} cores")
    for name, rate in results["frames_per_second"].items():
        print(f"{name:28}{'':9}{rate:9,.1f}   frames/s")


def show(name: str, asked: float, found: dict[str, float], form: str, unit: str) -> None:
    """A line of the table."""
    low, high = (format(found[key], form) for key in ("low", "high"))
    print(f"{name:28}{format(asked, form):>9}{format(found['median'], form):>9}   ({low} to {high}) {unit}")


def sides(store: Store, samples: int, plain_samples: int) -> Sides:
    """Every side as a function that does some work and returns its frames."""
    torch.manual_seed(0)
    clip = Batches(store, "train", CLIPS, LENGTH)[0].to_float().frames.contiguous()
    film = store.episode("val", 0).frames[:CONTEXT]
    given = tensor(film)[None]
    plain = reference.Model(n_past=CONTEXT)
    optimizer = reference.make_optimizer(plain)

    def plain_trains(once: bool) -> int:
        noise = torch.randn(CLIPS, LENGTH - 1, plain.z_dim)
        reference.training_step(plain, optimizer, clip, None, noise, BETA, once=once)
        return CLIPS * (LENGTH - 1)

    def plain_generates() -> int:
        first = given.float().div(255).contiguous()
        noises = (torch.randn(1, SEQUENCE - 1, plain.z_dim) for _ in range(plain_samples))
        return sum(reference.generate(plain, first, None, noise).shape[1] for noise in noises)

    svg, latent = svg_training(store), latent_training(store)
    return {
        "plain trains": partial(plain_trains, once=False),
        "plain trains, encoding once": partial(plain_trains, once=True),
        "svg trains": svg,
        "latent trains": lambda: sum(latent() for _ in range(4)),
        "plain generates": plain_generates,
        "svg generates": generating(store, given, samples),
    }


def svg_training(store: Store) -> Callable[[], int]:
    """A training step of `svg` with the paper's loss and optimiser."""
    model = channels_last(models.build(store.spec, "svg", {})).train()
    step = stepping(model, torch.optim.Adam(model.parameters(), lr=2e-3, fused=True), Objective("mse"), BETA, CONTEXT)
    batches = Batches(store, "train", CLIPS, LENGTH)
    return lambda: step(batches, True)


def latent_training(store: Store) -> Callable[[], int]:
    """A training step of `latent` with framecast's loss and Muon."""
    model = channels_last(models.build(store.spec, "latent", {})).train()
    step = stepping(model, Muon(model, lr=1e-3), Objective("calibrated"), context=CONTEXT)
    batches = Batches(store, "train", CLIPS, LENGTH, sampling=model.sampling)
    return lambda: step(batches, True)


def generating(store: Store, given: torch.Tensor, samples: int) -> Callable[[], int]:
    """All samples of one video as `evaluate` draws them, uint8 frames at the end; nothing is scored."""
    model = channels_last(models.build(store.spec, "svg", {})).eval()
    horizon = SEQUENCE - CONTEXT
    together = FRAMES_AT_ONCE // SIDE**2
    rows = max(1, together // min(horizon, CHUNK))

    def generate() -> int:
        frames = 0
        for keys in portions([(0, k, 0) for k in range(samples)], rows):
            pieces = [as_bytes(piece) for piece in roll(model, given, [CONTEXT, horizon], keys)]
            frames += sum(piece.shape[0] * piece.shape[1] for piece in pieces)
        return frames

    return generate


def write_bair(root: Path, sequences: int) -> None:
    """BAIR's extracted form: frames of the dancer as PNGs, random actions and positions."""
    random = np.random.default_rng(0)
    for number in range(sequences):
        folder = root / "train" / f"traj_0_to_{sequences - 1}.tfrecords" / str(number)
        folder.mkdir(parents=True)
        frames, _ = draw(0, "train", number * SEQUENCE, (number + 1) * SEQUENCE, (SIDE, SIDE))
        for index, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / f"{index}.png")
        for name, size in (("actions", 4), ("endeffector_positions", 3)):
            (folder / f"{name}.csv").write_text(table(random.normal(size=(SEQUENCE, size)).astype(np.float32)))


def packing(folder: Path, sequences: int) -> float:
    """Frames a second of packing with actions and positions; a process of its own, as workers begin by its imports."""
    code = (
        "import sys, time\n"
        "from framecast.packing import pack\n"
        "begun = time.perf_counter()\n"
        "pack('bair', {'root': sys.argv[1]}, sys.argv[2])\n"
        "print(time.perf_counter() - begun)\n"
    )
    seconds = float(output_of([sys.executable, "-c", code, str(folder / "bair"), str(folder / "packed")]))
    shutil.rmtree(folder / "packed")
    return sequences * SEQUENCE / seconds


if __name__ == "__main__":
    main()
