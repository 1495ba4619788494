"""A score carries its rules, and only scores of the same rules are compared."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from framecast import atomic, cli, compare, evaluate, protocols, results, sources
from framecast.metrics.frame import psnr, psnr_by_channel
from framecast.metrics.interval import FEW, bootstrap, over_videos, student
from framecast.models.copy import Copy
from framecast.packing import pack
from framecast.protocols import BUILT_IN, Protocol, applied
from framecast.protocols.protocol import hashed
from framecast.store import Store
from framecast.values import Step

pytestmark = pytest.mark.usefixtures("float32")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("films")
    random = np.random.default_rng(0)
    for i in range(5):
        frames = np.full((6, 16, 16, 3), 100, np.uint8) + random.integers(0, 3, (6, 16, 16, 3), dtype=np.uint8)
        frames[..., 0] += (12 * np.arange(6, dtype=np.uint8))[:, None, None]  # it grows red
        np.savez(root / f"e{i}.npz", frames=frames)
    return pack("npz", {"root": str(root), "condition": "none", "val": "e0,e1,e2"}, root / "store", 1)


class Flicker(Copy):
    """Repeats the given frame, brighter or darker in every frame of every sample."""

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (1,)

    def parallel(self, state: Any, cues: Any, noise: Tensor) -> tuple[Any, Step]:
        state, step = super().parallel(state, cues, noise)
        return state, Step(step.frame + 0.05 * noise[..., None, None])


def scored(store: Store, folder: Path, **rules: Any) -> Path:
    """The results.json of `Flicker`."""
    model = Flicker(store.spec).eval()
    asked = {"context": 1, "horizon": 5, "samples": 1, "psnr": "frame"} | rules
    own = applied.applied(store, "val", asked["context"], asked["horizon"], asked["samples"])
    protocol = replace(own, psnr=asked["psnr"])
    result = evaluate.evaluate(
        {"flicker": model},
        store,
        "val",
        asked["context"],
        asked["horizon"],
        samples=asked["samples"],
        formula=protocol.psnr,
    )
    folder.mkdir()
    atomic.write_json(folder / "results.json", results.record(result, {"protocol": protocol.record()}))
    return folder


class TestProtocol:
    def test_is_frozen_and_hashed_by_its_rules_alone(self) -> None:
        one = Protocol("a", "films")
        with pytest.raises(FrozenInstanceError):
            one.context = 2  # type: ignore[misc]
        assert one.hash() == replace(one, name="b", published=(protocols.Published("x", {}, "y"),)).hash()
        others = {
            "data": "x", "source": "x", "size": "x", "condition": "x", "split": "x", "recordings": "x", "camera": "x",
            "origin": "x",
            "context": 9, "horizon": 9, "trained": "x", "samples": 9, "select": "x", "counted": "x",
            "psnr": "channel", "data_range": 2.0, "ssim": "x", "lpips": "x", "fvd": "x",
        }  # fmt: skip
        assert {f.name for f in fields(Protocol)} - {"name", "published"} == set(others)
        assert set(one.rules()) == set(others)
        hashes = {hashed({**one.rules(), key: value}) for key, value in others.items()}
        assert len(hashes | {one.hash()}) == len(others) + 1

    @pytest.mark.parametrize(
        ("rules", "words"),
        [
            ({"psnr": "chanel"}, r"The protocol a has psnr 'chanel'; it is one of \('frame', 'channel'\)"),
            ({"ssim": "Gaussian 7 x 7"}, "has ssim 'Gaussian 7 x 7'; it is one of"),
            ({"data_range": 255.0}, "has data_range 255.0"),
            ({"counted": "all frames"}, "has counted 'all frames'"),
            ({"select": "best"}, "has select 'best'"),
            ({"split": "tset"}, "has split 'tset'"),
            ({"condition": "pictures"}, "has condition 'pictures'"),
            ({"context": "1"}, "has context '1'; it is a whole number of 1 or more"),
            ({"horizon": 0}, "has horizon 0"),
            ({"samples": 0}, "has samples 0"),
            ({"size": "64"}, "has size '64'; it is written so: 64x64"),
            ({"trained": "2 to 10"}, "has trained '2 to 10'; it is written so: 2 -> 10"),
        ],
    )
    def test_rules_that_no_score_is_made_by_are_refused(self, rules: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            Protocol("a", "films", **rules)

    def test_a_record_that_was_edited_is_found_out(self) -> None:
        record = json.loads(json.dumps(Protocol("a", "films", context=2).record()))
        assert protocols.checked(record, "here")["context"] == 2
        with pytest.raises(ValueError, match="here: its rules are not those of its hash"):
            protocols.checked(record | {"context": 1}, "here")
        with pytest.raises(ValueError, match="here says by no protocol"):
            protocols.checked({}, "here")

    @pytest.mark.parametrize("name", BUILT_IN)
    def test_built_in_ones_are_whole(self, name: str) -> None:
        protocol = protocols.find(name)
        assert protocol.name == name
        assert protocol.source in sources.available()
        assert protocol.samples > 1 or protocol.select == protocols.MEAN
        for row in protocol.published:
            assert row.source
            assert row.scores
            assert 5 < row.scores.get("psnr", 20) < 45
            assert 0 < row.scores.get("ssim", 0.5) < 1

    def test_the_names(self) -> None:
        wanted = {"dance-629", "bair-2-28-best100", "bair-1-15", "bair-2-10-course", "kth-10-30", "digits-5-20"}
        assert wanted | {"pusht-2-28"} <= set(BUILT_IN)
        assert len({p.hash() for p in BUILT_IN.values()}) == len(BUILT_IN)
        with pytest.raises(ValueError, match="Did you mean 'kth-10-30'"):
            protocols.find("kth-10-20")
        assert [row.who for row in BUILT_IN["bair-2-28-best100"].published if row.second_hand] == ["Hier-VRNN", "SLAMP"]

    def test_a_protocol_that_the_recordings_cannot_meet(self, store: Store) -> None:
        with pytest.raises(ValueError, match="it needs 30 frames of every video; 3 of .* are shorter"):
            applied.check(BUILT_IN["pusht-2-28"], store, "val", {}, None)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"source": "bair"}, "packed from npz"),
            ({"size": "64x64"}, "its frames are 64x64, those of .* 16x16"),
            ({"origin": "gym_pusht"}, "it is of gym_pusht, .* of what is not known"),
            ({"camera": "aux1"}, "its camera is aux1, that of .* not known"),
            ({"condition": "vector"}, "told: vector; flicker is told: none"),
            ({"horizon": 6}, "needs 7 frames"),
        ],
    )
    def test_what_a_named_protocol_asks(self, store: Store, changes: dict[str, Any], words: str) -> None:
        """No result bears the name of a protocol that does not hold."""
        named = Protocol("films", "films", source="npz", size="16x16", condition="none", horizon=5)
        model = {"flicker": Flicker(store.spec)}
        applied.check(named, store, "val", model, None)
        with pytest.raises(ValueError, match=words):
            applied.check(replace(named, **changes), store, "val", model, None)

    def test_published_rows_are_named_as_the_tables_columns_and_say_in_what_they_differ(self) -> None:
        named = BUILT_IN["bair-2-28-best100"]
        assert named.rows()[2].startswith("SVG-LP: psnr best of 100 18.95, ssim best of 100 0.8058, lpips best of")
        assert ", fvd 255 (" in named.rows()[2]
        assert BUILT_IN["bair-1-15"].rows()[3].startswith("MCVD: psnr 16.9, ")
        same = named.rules() | {"recordings": "256 videos, crc32 00000000"}
        assert named.otherwise(same) == ""
        digits = BUILT_IN["digits-5-20"]
        drawn = digits.rules() | {
            "recordings": "100 videos, crc32 0",
            "origin": "MNIST, train-images: 54,000 for train",
        }
        assert digits.otherwise(drawn) == "recordings '100 videos, crc32 0' for what is not on record"
        assert (
            named.otherwise(same | {"recordings": "2 videos, crc32 0"})
            == "recordings '2 videos, crc32 0' for '256 videos'"
        )

    @pytest.mark.parametrize("trained", ["1 -> 8", "1 -> 15, 2 -> 10", "not known"])
    def test_a_record_says_what_was_done_and_not_what_was_asked(self, store: Store, trained: str) -> None:
        named = replace(BUILT_IN["bair-2-28-best100"], source="npz", size="16x16", camera="aux1")
        record = applied.applied(store, "val", 2, 4, 100, None, named, trained=trained).record()
        assert (record["lpips"], record["fvd"], record["trained"]) == (protocols.NOT, protocols.NOT, trained)
        assert record["camera"] == ""
        assert record["recordings"].startswith("3 videos, crc32 ")
        assert record["hash"] != named.hash()


@pytest.mark.parametrize(("count", "quantile"), [(2, 12.7062), (3, 4.3027), (6, 2.5706), (31, 2.0423)])
def test_an_interval_over_few_runs_is_students(count: int, quantile: float) -> None:
    """Quantiles of the printed tables."""
    values = np.random.default_rng(0).normal(20, 1, count)
    low, high = student(values)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(quantile * values.std(ddof=1) / count**0.5, rel=2e-4)
    with pytest.raises(ValueError, match="at least two"):
        student(values[:1])


def test_one_video_has_a_mean_and_no_interval(store: Store, tmp_path: Path) -> None:
    one = compare.load(scored(store, tmp_path / "one"))
    alone = [replace(row, videos={key: values[:1] for key, values in row.videos.items()}) for row in one.rows]
    _, several = compare.table([one])
    _, single = compare.table([replace(one, rows=alone)])
    assert all(any(" to " in cell for cell in row) for row in several)
    assert not any(" to " in cell for row in single for cell in row)
    assert f"{alone[0].videos['psnr'].mean():.2f}" in single[0]


def test_psnr_by_channel_is_another_number() -> None:
    truth = torch.full((1, 2, 3, 4, 4), 0.5)
    film = truth.clone()
    film[:, :, 0] += 0.1
    film[:, :, 1:] += 0.01
    wanted = (20 + 40 + 40) / 3  # -10 log10 of 0.01, 0.0001, 0.0001
    torch.testing.assert_close(
        psnr_by_channel(film, truth), torch.full((1, 2), wanted, dtype=torch.float64), atol=1e-3, rtol=0
    )
    assert (psnr_by_channel(film, truth) - psnr(film, truth)).min() > 8
    grey = film[:, :, :1]
    torch.testing.assert_close(psnr_by_channel(grey, truth[:, :, :1]), psnr(grey, truth[:, :, :1]))


@pytest.mark.parametrize(
    ("field", "value", "least"), [("samples", 30, 0.5), ("psnr", "channel", 1.0), ("horizon", 1, 1.0)]
)
def test_the_trap_of_one_rule(store: Store, tmp_path: Path, field: str, value: Any, least: float) -> None:
    """The same weights, one rule changed: the score moves by dB, and the comparison is refused by that rule's name."""
    one, two = scored(store, tmp_path / "one"), scored(store, tmp_path / "two", **{field: value})
    rows = [compare.load(path).rows[0].videos for path in (one, two)]
    best = next((key for key in rows[1] if key.startswith("psnr best")), "psnr")
    assert abs(rows[1][best].mean() - rows[0]["psnr"].mean()) > least
    with pytest.raises(ValueError, match=rf"not made by the same rules(.|\n)*  {field}: "):
        compare.refuse_unequal([compare.load(one), compare.load(two)])


class TestCompare:
    def test_the_same_rules_stand_in_one_table(
        self, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        one, two = scored(store, tmp_path / "one"), scored(store, tmp_path / "two")
        assert cli.main(["compare", str(one), str(two / "results.json")]) == 0
        said = capsys.readouterr().out
        assert said.count("protocol own") == 1
        assert f"flicker ({two})" in said
        assert "+0.00 (+0.00 to +0.00)" in said

    def test_published_rows_say_in_what_they_differ(
        self, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        result = evaluate.evaluate({"flicker": Flicker(store.spec).eval()}, store, "val")
        protocol = applied.applied(store, "val", 1, None, 1, None, BUILT_IN["dance-629"], trained="1 -> 8")
        atomic.write_json(tmp_path / "results.json", results.record(result, {"protocol": protocol.record()}))
        assert cli.main(["compare", str(tmp_path)]) == 0
        said = capsys.readouterr().out
        assert "published: best: psnr 36.41 (measured from published predictions" in said
        assert "differ from that protocol in:" in said
        assert "recordings '3 videos, crc32" in said and "for '5 videos'" in said
        assert "source 'npz' for 'dance'" in said

    def test_other_rules_are_refused_or_printed_apart(
        self, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        one, two = scored(store, tmp_path / "one"), scored(store, tmp_path / "two", horizon=2)
        assert cli.main(["compare", str(one), str(two)]) == 1
        assert "horizon: 5 | 2" in capsys.readouterr().err
        assert cli.main(["compare", str(one), str(two), "--anyway"]) == 0
        assert capsys.readouterr().out.count("protocol own") == 2

    def test_what_is_no_result(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="does not exist"):
            compare.load(tmp_path / "nowhere")
        with pytest.raises(FileNotFoundError, match="framecast evaluate"):
            compare.load(tmp_path)
        (tmp_path / "results.json").write_text("{")
        with pytest.raises(ValueError, match=r"results.json is damaged \(.*\). Score the run again"):
            compare.load(tmp_path)
        for split in ("val", "test"):
            (tmp_path / f"evaluation-{split}").mkdir()
            (tmp_path / f"evaluation-{split}" / "results.json").write_text("{}")
        with pytest.raises(ValueError, match="several results"):
            compare.load(tmp_path)


def test_the_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = bootstrap(values)
    half = 1.96 * values.std() / 20  # of the normal approximation
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)
    for few in (0, 1):
        with pytest.raises(ValueError, match="at least two videos"):
            bootstrap(np.full(few, 4.0))
        with pytest.raises(ValueError, match="at least two videos"):
            over_videos(np.full(few, 4.0))
    assert over_videos(values) == bootstrap(values)
    assert over_videos(values[: FEW - 1]) == student(values[: FEW - 1])
