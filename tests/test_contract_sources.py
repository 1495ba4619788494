"""One contract for every source that is found.

A new source needs one line here: how a tiny data set of its kind is written (FACTORIES).
"""

from __future__ import annotations

import inspect
import os
import pickle
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packs import bits
from recordings import encode, noise

from framecast import sources
from framecast.sources import SPLITS, Source
from framecast.sources._tfrecord import serialise_example, write_records

Options = dict[str, Any]


def write_dance(root: Path) -> Options:
    """Two splits of 5 frames, and two test sequences of 1 frame and 4 labels."""
    folders = {f"{split}/{split}_{what}": 5 for split in ("train", "val") for what in ("img", "label")}
    folders |= {f"test/test_img/{n}": 1 for n in range(2)} | {f"test/test_label/{n}": 4 for n in range(2)}
    for seed, (folder, count) in enumerate(folders.items()):
        (root / folder).mkdir(parents=True)
        for i, frame in enumerate(noise(count, 12, 20, 3, seed=seed)):
            (root / folder / f"frame{i}.png").write_bytes(encode(frame))
    return {"root": str(root), "size": "8x16"}


def write_dancer(root: Path) -> Options:
    return {"train": 300, "val": 3, "test": 1, "size": "16x32"}


def write_npz(root: Path) -> Options:
    for i in range(4):
        action = np.random.default_rng(i).normal(size=(5 + i, 2))
        np.savez(root / f"e{i}.npz", frames=noise(5 + i, 8, 12, 3, seed=i), action=action)
    return {"root": str(root), "val": "e1", "test": "e2"}


def write_rlds(root: Path) -> Options:
    data = []
    for i in range(3):
        frames = [encode(frame) for frame in noise(4 + i, 8, 12, 3, seed=i)]
        action = np.random.default_rng(i).normal(size=(4 + i, 7)).astype(np.float32)
        data.append(serialise_example({"steps/observation/image_0": frames, "steps/action": action}))
    write_records(root / "robot.tfrecord-00000-of-00001", data)
    return {"root": str(root)}


def write_gym(root: Path) -> Options:
    """Four recordings of an environment made here, some of which it ends early."""
    gymnasium = pytest.importorskip("gymnasium")

    class Dots(gymnasium.Env):
        metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
        action_space = gymnasium.spaces.Box(-1, 1, (2,))
        render_mode = "rgb_array"

        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            return self.step(np.zeros(2))[0], {}

        def step(self, action):
            self.frame = self.np_random.integers(0, 256, (12, 16, 3), np.uint8)
            return action, 0.0, bool(self.np_random.random() < 0.2), False, {}

        def render(self):
            return self.frame

    if "Dots-v0" not in gymnasium.registry:
        gymnasium.register("Dots-v0", entry_point=lambda render_mode: Dots())
    return {"env": "Dots-v0", "episodes": 4, "steps": 6, "size": "8x12"}


def write_digits(root: Path) -> Options:
    head = np.array([2051, 20, 28, 28], ">u4").tobytes()
    (root / "t10k-images-idx3-ubyte").write_bytes(head + noise(20, 28, 28).tobytes())
    return {"root": str(root), "train": 3, "val": 1, "test": 2, "steps": 5, "size": 40}


def write_kth(root: Path) -> Options:
    import av

    for action in ("boxing", "handclapping", "handwaving", "jogging", "running", "walking"):
        (root / action).mkdir()
        for person in (1, 20, 25):
            with av.open(str(root / action / f"person{person:02d}_{action}_d1_uncomp.avi"), "w") as film:
                stream = film.add_stream("ffv1", rate=25)
                stream.height, stream.width, stream.pix_fmt = 12, 16, "gray"
                for frame in noise(3, 12, 16, seed=person):
                    film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
                film.mux(stream.encode())
    return {"root": str(root)}


def write_bair(root: Path) -> Options:
    """The extracted form: three sequences to train on (one is held out), one for the test."""
    for i, folder in enumerate(("train/traj_0_to_1.tfrecords/0", "train/traj_0_to_1.tfrecords/1",
                                "train/traj_2_to_2.tfrecords/0", "test/traj_0_to_0.tfrecords/0")):  # fmt: skip
        (root / folder).mkdir(parents=True)
        for t, frame in enumerate(noise(4 + i, 8, 12, 3, seed=i)):
            (root / folder / f"{t}.png").write_bytes(encode(frame))
        for name, count in (("actions.csv", 4), ("endeffector_positions.csv", 3)):
            np.savetxt(root / folder / name, np.random.default_rng(i).normal(size=(4 + i, count)), delimiter=",")
    return {"root": str(root)}


# Per source: writes a tiny data set into an empty folder and returns the options of the source's class for it.
FACTORIES: dict[str, Callable[[Path], Options]] = {
    "bair": write_bair,
    "dance": write_dance,
    "dancer": write_dancer,
    "digits": write_digits,
    "gym": write_gym,
    "kth": write_kth,
    "npz": write_npz,
    "rlds": write_rlds,
}


@pytest.fixture(scope="module", params=sources.available())
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[type[Source], Options]:
    """Each source that is found, with a tiny data set for it."""
    name = request.param
    if name not in FACTORIES:
        pytest.fail(
            f"The source {name!r} has no tiny data set yet. Add to FACTORIES in test_contract_sources.py a function "
            f"that writes one into an empty folder and returns the options of {sources.find(name).__name__} for it."
        )
    return sources.find(name), FACTORIES[name](tmp_path_factory.mktemp(name))


def read_apart(kind: type[Source], options: Options, split: str) -> list[tuple[str, np.ndarray, np.ndarray | None]]:
    """Every part read in a source of its own, last part first, as worker processes may; joined to whole episodes."""
    parts = kind(**options).parts(split)
    pieces = []
    for part in reversed(parts):
        fresh_kind, fresh_options, fresh_part = pickle.loads(pickle.dumps((kind, options, part)))
        pieces.insert(0, fresh_kind(**fresh_options).read(fresh_part))
    joined = []
    for name, group in groupby(pieces, key=lambda episode: episode.name):
        found = list(group)
        conditions = [e.condition for e in found if e.condition is not None]
        frames = np.concatenate([e.frames for e in found])
        joined.append((name, frames, np.concatenate(conditions) if conditions else None))
    return joined


def test_source_episodes_are_as_the_spec_says(written: tuple[type[Source], Options]) -> None:
    source = written[0](**written[1])
    spec = source.spec()
    counted = 0
    for split in SPLITS:
        names = []
        for episode in source.episodes(split):
            names.append(episode.name)
            assert episode.frames.dtype == np.uint8
            assert episode.frames.shape[1:] == (spec.height, spec.width, spec.channels)
            assert len(episode.frames) >= 1
            if spec.condition.kind == "none":
                assert episode.condition is None
                continue
            assert episode.condition is not None
            assert len(episode.condition) >= len(episode.frames)
            assert split == "test" or len(episode.condition) == len(episode.frames)
            if spec.condition.kind == "picture":
                assert episode.condition.dtype == np.uint8
                assert episode.condition.shape[1:] == (spec.height, spec.width, spec.condition.size)
            else:
                assert episode.condition.dtype == np.float32
                assert episode.condition.shape[1:] == (spec.condition.size,)
                assert np.isfinite(episode.condition).all()
        assert len(set(names)) == len(names), "two episodes of one name"
        counted += len(names)
    assert counted >= 2, "the tiny data set should have episodes in two splits"


def test_source_parts_are_honest(written: tuple[type[Source], Options]) -> None:
    source = written[0](**written[1])
    for split in SPLITS:
        ends: dict[str, int] = {}
        for part in source.parts(split):
            assert part.start == ends.get(part.episode, 0), "parts follow each other without a gap"
            ends[part.episode] = part.stop
            episode = source.read(part)
            assert episode.name == part.episode
            assert len(episode.frames) == part.frames <= part.stop - part.start
            assert episode.condition is None or len(episode.condition) == part.stop - part.start


def test_source_parts_join_to_the_same_episodes(written: tuple[type[Source], Options]) -> None:
    """Also: reading is deterministic, and class, options and parts travel to another process."""
    kind, options = written
    for split in SPLITS:
        whole = [(e.name, e.frames, e.condition) for e in kind(**options).episodes(split)]
        apart = read_apart(kind, options, split)
        assert [name for name, *_ in whole] == [name for name, *_ in apart]
        for (_, frames, condition), (_, other, known) in zip(whole, apart, strict=True):
            assert (bits(frames), bits(condition)) == (bits(other), bits(known))


def _told(kind: type[Source], options: Options) -> str:
    """What it reads, a line an episode."""
    if kind.__name__ == "Gym":
        write_gym(Path())  # makes its environment known in this process
    source, lines = kind(**options), []
    for split in SPLITS:
        for e in source.episodes(split):
            sums = [zlib.crc32(np.ascontiguousarray(x).tobytes()) for x in (e.frames, e.condition) if x is not None]
            lines.append(f"{split} {e.name} {sums}")
    return "\n".join(lines)


@pytest.mark.slow
def test_source_is_the_same_in_every_process(written: tuple[type[Source], Options], tmp_path: Path) -> None:
    """Nothing hangs on the order of a set or on the hash of a text, which differ from process to process."""
    (tmp_path / "asked").write_bytes(pickle.dumps(written))
    code = "import pickle, sys, test_contract_sources as t; print(t._told(*pickle.load(open(sys.argv[1], 'rb'))))"
    found = []
    for seed in ("1", "2"):
        known = {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", code, str(tmp_path / "asked")]
        found.append(subprocess.run(command, env={**os.environ, **known}, capture_output=True, text=True, check=True))
    assert found[0].stdout == found[1].stdout == _told(*written) + "\n"


def test_source_has_no_unknown_split(written: tuple[type[Source], Options]) -> None:
    source = written[0](**written[1])
    assert source.parts("nonsense") == []
    assert source.parts("train") != []


def test_source_describes_its_options(written: tuple[type[Source], Options]) -> None:
    """The command line's help is made of these lines."""
    words = inspect.getdoc(written[0]) or ""
    for option in inspect.signature(written[0]).parameters:
        assert f"    {option}: " in words, f"{written[0].__name__} does not describe {option}"


def test_source_has_an_example(written: tuple[type[Source], Options]) -> None:
    name = written[0].__module__.rpartition(".")[2]
    assert re.match(rf"framecast pack {name} .*--out \S+$", written[0].example)


def test_source_says_where_it_squeezes(written: tuple[type[Source], Options]) -> None:
    """Those that read pictures of any size; KTH's are squeezed by rule, and the others draw their own."""
    kind, options = written
    if kind.__name__ in ("Bair", "Dance", "Npz", "Rlds"):
        assert kind(**options | {"size": "16x16"}).about()["resized"].endswith("keeps it")
    assert "resized" not in kind(**options | ({"size": "12x20"} if kind.__name__ == "Dance" else {})).about()


def test_source_takes_a_frame_rate_where_files_say_none(written: tuple[type[Source], Options]) -> None:
    """Which do not is for each source to know: those have an option."""
    kind, options = written
    if "fps" not in inspect.signature(kind).parameters:
        assert kind.__name__ not in ("Dance", "Npz", "Rlds")
        return
    assert kind(**options).spec().fps == 30
    assert kind(**options, fps=12.5).spec().fps == 12.5
    for bad in (0, -5.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=rf"--fps is .* a positive number, not {bad:g}"):
            kind(**options, fps=bad)
