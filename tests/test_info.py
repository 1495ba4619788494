"""What a store holds, in words and as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import WriteStore

from framecast import cli
from framecast.commands import info
from framecast.report import sheets
from framecast.store import Store
from framecast.values import Episode, Spec


def steps(name: str, height: int, frames: int = 3) -> Episode:
    """Every frame is brighter than the one before by `height` of 255."""
    film = np.arange(frames)[:, None, None, None] * height + np.zeros((1, 8, 8, 3), int)
    return Episode(name, film.astype(np.uint8), None)


@pytest.fixture
def store(write_store: WriteStore, tmp_path: Path) -> Store:
    """Twenty episodes, of which every other moves ten times as much."""
    episodes = [steps(f"e{k}", 3 if k % 2 else 30) for k in range(20)]
    return write_store(tmp_path / "store", Spec(8, 8), {"train": episodes, "val": [steps("v", 3)]})


def decibels(height: int) -> float:
    return -20 * float(np.log10(height / 255))


def test_what_moves_is_of_all_episodes(store: Store) -> None:
    first, before, count = info.motion(store, "train")
    assert count == 20
    assert before == pytest.approx((decibels(3) + decibels(30)) / 2)
    assert first == pytest.approx((decibels(3) + decibels(6) + decibels(30) + decibels(60)) / 4)
    assert info.motion(store, "train", values=0)[2] == 8


def test_info_says_of_how_many_episodes(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(info, "sheet", lambda store, path: path)
    assert cli.main(["info", str(store.root)]) == 0
    said = capsys.readouterr().out
    assert "frame before (dB)" in said and "copy last" not in said and "Over all episodes." in said
    monkeypatch.setattr(info, "motion", lambda store, split: (30.0, 40.0, 1))
    assert cli.main(["info", str(store.root)]) == 0
    assert "Over 1 of the 20 episodes of train." in capsys.readouterr().out


def test_names_with_dollars_are_no_formulas(tmp_path: Path) -> None:
    frames = np.zeros((1, 16, 16, 3), np.uint8)
    sheets.contact_sheet(tmp_path / "sheet.png", frames, None, ["b$5_$6"])
    assert (tmp_path / "sheet.png").stat().st_size


def test_the_sheet_of_where_one_stands_lies_beside_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(info, "sheet", lambda store, path: path)
    monkeypatch.chdir(store.root)
    assert cli.main(["info", "."]) == 0
    assert f"Contact sheet: {store.root.resolve()}.png" in capsys.readouterr().out


def test_the_sheet_draws_numbers_by_their_mean_and_spread(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "contact_sheet", lambda path, frames, shown, titles: drawn.append(shown))
    drawn, store = list[np.ndarray](), Store(packed / "store")
    info.sheet(store, packed / "sheet.png")
    known, row = store.spec.condition, store.episode("train", 0).condition
    assert row is not None
    assert drawn[0][0] == pytest.approx((row[0] - known.mean) / known.std)
