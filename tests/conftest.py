"""What several tests share: one thread, single precision on request, and stores written by hand."""

from __future__ import annotations

import json
import os
import signal
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from course import FAST, SHORT, SMALL
from packs import Inline, Odd, robot

from framecast import cli, lab, packing, rollout, workers
from framecast.models.base import Model
from framecast.sources import dancer
from framecast.sources.npz import Npz
from framecast.store import Entry, Store
from framecast.values import Clip, Episode, Kind, Spec

torch.set_num_threads(1)
if threading.current_thread() is threading.main_thread():
    # Where a shell starts the tests in the background Ctrl-C is ignored, and what they start would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

Case = tuple[Model, Clip, torch.Tensor]  # see the fixture
WriteStore = Callable[[Path, Spec, dict[str, Sequence[Episode]]], Store]


def status_of(command: Sequence[str]) -> object:
    """What the command line leaves with, whether it returns or exits."""
    try:
        return cli.main(list(command))
    except SystemExit as leave:
        return leave.code


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prediction in single precision, whatever this machine gains from."""
    monkeypatch.setattr(rollout, "gains_from_bf16", lambda device: False)


@pytest.fixture
def model(name: str, kind: Kind) -> Model:
    """The model that a test of each (`contract.every_model`) is about, with weights to test it with, in eval mode."""
    from contract import made, spec_of

    return made(name, spec_of(kind))


@pytest.fixture
def case(model: Model) -> Case:
    """The model, three clips of five frames, and noise for all but the first."""
    from contract import clip_of, noise_of

    return model, clip_of(model.spec), noise_of(model, 3, 4)


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with robot data and its store, packed by one worker."""
    root = tmp_path_factory.mktemp("packed")
    packing.pack("npz", {"root": str(robot(root / "raw")), "val": "e1"}, root / "store", workers=1)
    return root


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small store of dances, one of vectors, and a run trained on each."""
    root = tmp_path_factory.mktemp("place")
    packing.pack("dancer", {"train": 40, "val": 12, "test": 1, "size": "16x32"}, root / "dances", workers=1)
    (root / "npz").mkdir()
    random = np.random.default_rng(0)
    for k in range(3):
        frames = random.integers(0, 255, (9, 16, 16, 3), np.uint8)
        np.savez(root / "npz" / f"e{k}.npz", frames=frames, action=random.normal(size=(9, 2)).astype(np.float32))
    packing.pack("npz", {"root": str(root / "npz")}, root / "robots", workers=1)
    small = ["--anchor.widths", "[8,8,16]", "--anchor.blocks", "[1,1,1]"]
    for store in ("dances", "robots"):
        made = ["train", "--data", str(root / store), "--out", str(root / f"run-{store}"), "--steps", "3"]
        assert cli.main([*made, *small, "--clip_length", "4", "--validations", "1", "--val_frames", "3"]) == 0
    return root


@pytest.fixture(scope="session")
def dances(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("training") / "store"
    return packing.pack("dancer", {"train": 40, "val": 12, "test": 0, "size": "16x32"}, root, workers=1)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ProcessPoolExecutor", Inline)
    monkeypatch.setattr(packing, "find", lambda name: {"odd": Odd, "npz": Npz}[name])


@pytest.fixture(scope="session")
def write_store() -> WriteStore:
    """Writes a store as its file format says, without `pack`."""

    def write(root: Path, spec: Spec, splits: dict[str, Sequence[Episode]]) -> Store:
        root.mkdir()
        entries: dict[str, list[Entry]] = {}
        for split, episodes in splits.items():
            arrays = {"frames": [e.frames for e in episodes]}
            if spec.condition.kind != "none":
                arrays["condition"] = [e.condition for e in episodes if e.condition is not None]
            for what, values in arrays.items():
                np.save(root / f"{split}.{what}.npy", np.concatenate(values))
            entries[split], frame, condition = [], 0, 0
            for e in episodes:
                known = 0 if e.condition is None else len(e.condition)
                entries[split].append(Entry(e.name, frame, len(e.frames), condition, known))
                frame, condition = frame + len(e.frames), condition + known
        index = {
            "version": 1,
            "source": "test",
            "options": {},
            "spec": spec.to_dict(),
            "splits": {split: [asdict(e) for e in found] for split, found in entries.items()},
            "files": {
                p.name: {"bytes": p.stat().st_size, "crc32": zlib.crc32(p.read_bytes())} for p in root.glob("*.npy")
            },
        }
        (root / "index.json").write_text(json.dumps(index))
        return Store(root)

    return write


@pytest.fixture(scope="session")
def dance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dancer.write(tmp_path_factory.mktemp("data") / "dance", 32, 12, 1, 0, "16x32", workers=1)


@pytest.fixture(scope="session")
def trained(dance: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of a run of three epochs, the first one short, a checkpoint after each."""
    out = tmp_path_factory.mktemp("lab") / "out"
    lab.trainer_main(["--DR", str(dance), "--save_root", str(out), "--per_save", "1", *SMALL, *SHORT, *FAST])
    return out
