"""Say what a store holds, and draw a contact sheet of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from framecast.commands._parser import Parser, table

EXAMPLE = "framecast info stores/dancer --out sheet.png"
PICTURES = (".png", ".svg", ".pdf")
LOOKED_AT = 2 * 10**8  # values of a split's frames that `motion` reads: some 5 s on one core
LONGEST = 630  # frames of an episode that it reads


def run(arguments: list[str]) -> int:
    from framecast.store import Store

    parser = Parser("info", "Episodes, frames, size, condition, how much moves, and a contact sheet.", EXAMPLE)
    parser.add_argument("store", type=str, help="a packed store")
    parser.add_argument(
        "--out", type=str, default=None, help="the contact sheet's picture file (default: STORE.png, beside it)"
    )
    parser.add_argument("--verify", action="store_true", help="read every byte and compare checksums")
    options = parser.parse(arguments)
    if options.out and Path(options.out).suffix.lower() not in ("", *PICTURES):
        parser.error(f"--out is a picture ({', '.join(PICTURES)}), not {options.out}")
    store = Store(options.store)
    if options.verify:
        store.verify()
        print("All checksums are right.")
    rows, sampled = [], []
    for split, entries in store.entries.items():
        lengths = [e.frames for e in entries]
        span = str(lengths[0]) if min(lengths) == max(lengths) else f"{min(lengths)} to {max(lengths)}"
        first, before, looked = motion(store, split)
        sampled += [f"{looked} of the {len(entries)} episodes of {split}"] if looked < len(entries) else []
        shown = [f"{value:.2f}" if np.isfinite(value) else "-" for value in (first, before)]
        rows.append([split, str(len(entries)), str(sum(lengths)), span, *shown])
    spec = store.spec
    print(
        f"{options.store}: {spec.height} x {spec.width} pixels, {spec.channels} channels, {spec.fps:g} frames a second"
    )
    print(f"condition: {spec.condition}; source: {store.index['source']}")
    for key, value in store.index.get("about", {}).items():
        print(f"{key}: {value}")
    print(table(rows, ["split", "episodes", "frames", "of each", "copy first (dB)", "frame before (dB)"]))
    print(
        f"copy first: mean PSNR of an episode's first frame held ({LONGEST - 1} frames at most); frame before: of"
        f" showing at each frame the true one before it. Over {' and '.join(sampled) or 'all episodes'}."
    )
    root = Path(options.store)
    beside = root if root.name not in ("", "..") else root.resolve()
    print(f"Contact sheet: {sheet(store, Path(options.out or f'{beside}.png'))}")
    return 0


def motion(store, split: str, values: int = LOOKED_AT) -> tuple[float, float, int]:
    """How much moves: mean PSNR (dB) of copying the first frame, and the frame before; NaN for single frames.

    Also, of how many episodes: all, or so many, evenly spread, that about `values` values of frames are read.
    """
    from framecast.metrics.frame import psnr
    from framecast.values import tensor

    entries, first, last = store.entries_of(split), [], []
    total = store.spec.values * sum(min(e.frames, LONGEST) for e in entries)
    count = min(len(entries), max(8, len(entries) * values // total))
    for number in np.linspace(0, len(entries) - 1, count).astype(int):
        film = np.asarray(store.episode(split, int(number)).frames[:LONGEST])
        if len(film) < 2:
            continue
        video = tensor(film)[None]
        first.append(psnr(video[:, :1].expand_as(video[:, 1:]), video[:, 1:]).mean().item())
        last.append(psnr(video[:, :-1], video[:, 1:]).mean().item())
    return (float(np.mean(first)), float(np.mean(last)), count) if first else (float("nan"), float("nan"), count)


def sheet(store, path: Path) -> Path:
    """A contact sheet: frames spread over the first episodes of each split, conditions beside them."""
    from framecast.report.sheets import contact_sheet

    frames, conditions, titles = [], [], []
    for split, entries in store.entries.items():
        per = 12 if len(entries) == 1 else 4
        for number in range(min(3, len(entries))):
            episode = store.episode(split, number)
            for t in np.unique(np.linspace(0, len(episode.frames) - 1, per).astype(int)):
                frames.append(np.asarray(episode.frames[t]))
                conditions.append(None if episode.condition is None else np.asarray(episode.condition[t]))
                name = episode.name if len(episode.name) <= 16 else f"{episode.name[:9]}..{episode.name[-5:]}"
                titles.append(f"{split} #{t}" if name == split else f"{split} {name} #{t}")
    shown, known = None if conditions[0] is None else np.stack(conditions), store.spec.condition
    if shown is not None and known.kind == "vector":
        shown = (shown - np.array(known.mean or 0.0)) / np.array(known.std or 1.0)
    contact_sheet(path, np.stack(frames), shown, titles)
    return path
