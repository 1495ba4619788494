"""A store written as the files that other programs read: BAIR's two forms, and the dancers' pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from framecast.atomic import check_absent, replacing
from framecast.sources._pictures import write_pictures
from framecast.sources._softmotion import FIELDS
from framecast.sources._tfrecord import serialise_example, write_records
from framecast.store import Store
from framecast.values import Episode

FORMS = ("bair-png", "bair-tfrecord", "dance")
GROUP = 256  # sequences a traj_*.tfrecords, as in the original
Columns = dict[str, slice]
Count = Callable[[int], None]


def export(
    store: Store,
    form: str,
    out: str | Path,
    splits: list[str] | None = None,
    camera: str | None = None,
    action: str | None = None,
    position: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Writes a store's episodes as files; OUT appears when it is whole. Packing them gives the same frames and numbers.

    Args:
        store: what is written.
        form: one of FORMS.
        out: the folder to make.
        splits: which are written; all if not given.
        camera: bair-tfrecord: the name under which frames are written; None: aux1.
        action, position: bair: which columns of the condition they are, first:stop; needed where its names do not say.
        progress: called with the frames done and the frames in all.

    Returns:
        the options with which `framecast pack` reads the files.

    Raises:
        FileExistsError: `out` exists already.
        ValueError: the form cannot hold what the store holds; says what.
    """
    out = Path(out)
    if form not in FORMS:
        raise ValueError(f"There is no form {form!r}. There are: {', '.join(FORMS)}.")
    check_absent(out)
    asked = {"camera": camera, "action": action, "position": position}
    unused = {"dance": ("camera", "action", "position"), "bair-png": ("camera",)}.get(form, ())
    if passed := [name for name in unused if asked[name]]:
        raise ValueError(f"{form} has no --{passed[0]}. Leave it out, or choose another form.")
    camera = (camera or "aux1").removeprefix("image_")
    if not re.fullmatch(r"\w+", camera):
        raise ValueError(f"--camera {camera!r} is no name that is read again: letters, digits and _ only, as in aux1.")
    entries = {split: store.entries_of(split) for split in splits or [s for s, e in store.entries.items() if e]}
    total, done = sum(e.frames for found in entries.values() for e in found), 0

    def count(frames: int) -> None:
        nonlocal done
        done += frames
        if progress:
            progress(done, total)

    if store.spec.channels != 3:
        raise ValueError(
            f"{store.root} has frames of {store.spec.channels} channels; {form} holds pictures of 3 (RGB)."
        )
    columns = {} if form == "dance" else _columns(store, action, position)
    _check(store, form, list(entries))
    with replacing(out) as partial:
        for split in entries:
            if form == "dance":
                _dance(partial, split, store, count)
            elif form == "bair-png":
                _folders(partial / {"val": "validate"}.get(split, split), store.episodes(split), columns, count)
            else:
                _records(partial / split, store.episodes(split), columns, camera, count)
        check_absent(out)
    return _options(store, form, list(entries), columns, camera)


def _options(store: Store, form: str, splits: list[str], columns: Columns, camera: str) -> list[str]:
    size = f"{store.spec.height}x{store.spec.width}"
    made = ["--fps", f"{store.spec.fps:g}"] if store.spec.fps != 30 else []
    if form == "dance":
        return ["--size", size, *made]
    made += ["--condition", ",".join(columns) or "none"]
    if form == "bair-tfrecord":
        made += ["--camera", camera] + (["--raw-size", size] if size != "64x64" else [])
    return made + ([] if "val" in splits or "train" not in splits else ["--val", "0"])


def _columns(store: Store, action: str | None, position: str | None) -> Columns:
    """Where actions and positions lie in the rows of the condition: as asked, or as its names say.

    Raises:
        ValueError: there are none of BAIR's (4 and 3 numbers), or nobody says which they are.
    """
    condition = store.spec.condition
    asked = {key: text for key, text in (("action", action), ("position", position)) if text is not None}
    if condition.kind == "picture":
        raise ValueError(f"{store.root} has pictures as conditions; BAIR's forms hold numbers. Export it --as dance.")
    if asked:
        return {key: _range(key, text, condition.size) for key, text in asked.items()}
    widths = [FIELDS[name][2] for name in condition.names if name in FIELDS]
    if len(widths) == len(condition.names) and sum(widths) == condition.size:
        stops = np.cumsum([0, *widths]).tolist()
        return {n: slice(a, b) for n, a, b in zip(condition.names, stops, stops[1:], strict=False)}
    raise ValueError(
        f"{store.root} has a {condition}; BAIR's forms hold actions of 4 and positions of 3. Say which numbers they "
        f"are (one of the two is enough), for example: --action 0:4 --position 4:7."
    )


def _range(key: str, text: str, size: int) -> slice:
    """'4:7' as a slice of as many numbers as the field has."""
    match, width = re.fullmatch(r"(\d+):(\d+)", text.strip()), FIELDS[key][2]
    first, stop = (int(match.group(1)), int(match.group(2))) if match else (0, 0)
    if stop - first != width or stop > size:
        raise ValueError(
            f"--{key} {text!r} is not first:stop with {width} numbers among the {size} of the store, counted from 0; "
            f"0:{width} takes the first {width}."
        )
    return slice(first, stop)


def _check(store: Store, form: str, splits: list[str]) -> None:
    """Raises ValueError where the conditions are not as many, or of the kind, that the form holds."""
    condition, dance = store.spec.condition, form == "dance"
    if dance and (condition.kind, condition.size) != ("picture", 3):
        raise ValueError(
            f"{store.root} has as condition: {condition}; dance holds an RGB picture (3 channels) for every frame. "
            f"Numbers are exported --as {' or '.join(FORMS[:2])}."
        )
    rows, holds = ("labels", "dance holds") if dance else ("rows of condition", "BAIR's forms hold")
    for split in splits:
        for e in store.entries_of(split) if not (dance and split == "test") else []:
            if e.conditions != e.frames and (dance or e.conditions):
                raise ValueError(
                    f"{store.root}, {split}, episode {e.name!r} has {e.frames} frames and {e.conditions} {rows}; "
                    f"{holds} as many of both. Leave the split out with --split."
                )


def _groups(episodes: Iterator[Episode]) -> Iterator[tuple[str, list[Episode]]]:
    """Episodes by GROUP (views of the store, not yet read), and their traj_*.tfrecords."""
    numbered = list(episodes)
    for first in range(0, len(numbered), GROUP):
        group = numbered[first : first + GROUP]
        yield f"traj_{first}_to_{first + len(group) - 1}.tfrecords", group


def _numbers(episode: Episode, at: slice) -> np.ndarray:
    assert episode.condition is not None
    return np.asarray(episode.condition[:, at], np.float32)


def _folders(root: Path, episodes: Iterator[Episode], columns: Columns, count: Count) -> None:
    for group, members in _groups(episodes):
        for number, episode in enumerate(members):
            folder = root / group / str(number)
            write_pictures(folder, episode.frames)
            for key, at in columns.items():
                (folder / FIELDS[key][0]).write_text(table(_numbers(episode, at)))
            count(len(episode.frames))


def table(numbers: np.ndarray) -> str:
    """The lines of a .csv (T, D). As doubles, in which float32 are exact: the shortest text of the largest float32
    reads as more than that.
    """
    return "".join(",".join(map(repr, row)) + "\n" for row in numbers.tolist())


def _records(root: Path, episodes: Iterator[Episode], columns: Columns, camera: str, count: Count) -> None:
    def example(episode: Episode) -> bytes:
        fields: dict[str, list[bytes] | np.ndarray] = {}
        for i, frame in enumerate(episode.frames):
            fields[f"{i}/image_{camera}/encoded"] = [frame.tobytes()]
            fields |= {f"{i}/{FIELDS[key][1]}": _numbers(episode, at)[i] for key, at in columns.items()}
        count(len(episode.frames))
        return serialise_example(fields)

    for group, members in _groups(episodes):
        write_records(root / group, map(example, members))


def _dance(root: Path, split: str, store: Store, count: Count) -> None:
    several = split == "test" or len(store.entries_of(split)) > 1
    for number, episode in enumerate(store.episodes(split)):
        inner = str(number) if several else ""
        frames, labels = episode.frames, episode.condition
        assert labels is not None
        if split == "test" and len(frames) == len(labels):  # all are known: one is given, all are the truth
            write_pictures(root / split / "test_truth" / inner, frames)
            frames = frames[:1]
        write_pictures(root / split / f"{split}_img" / inner, frames)
        write_pictures(root / split / f"{split}_label" / inner, labels)
        count(len(episode.frames))
