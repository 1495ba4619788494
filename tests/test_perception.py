"""LPIPS and FVD in an evaluation: rows, rules, refusals, the command and the comparison."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from test_protocols import Flicker
from weights import Motion, made_up, scripted

from framecast import cli, compare, evaluate, perception, protocols, results
from framecast.metrics import fvd
from framecast.packing import pack
from framecast.protocols import applied
from framecast.store import Store
from framecast.values import tensor

pytestmark = pytest.mark.usefixtures("float32")
VIDEOS, FRAMES = 16, 10


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Noise that grows red."""
    root = tmp_path_factory.mktemp("films")
    random = np.random.default_rng(0)
    for i in range(VIDEOS + 1):
        frames = random.integers(0, 60, (FRAMES, 32, 32, 3), dtype=np.uint8)
        frames[..., 0] += (10 * np.arange(FRAMES, dtype=np.uint8))[:, None, None]
        np.savez(root / f"e{i:02}.npz", frames=frames)
    val = ",".join(f"e{i:02}" for i in range(VIDEOS))
    return pack("npz", {"root": str(root), "condition": "none", "val": val}, root / "store", 1)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Made-up weights, vouched for."""
    root = tmp_path_factory.mktemp("weights")
    torch.save(made_up("AlexNet")[0], root / "alex.pth")
    motion = scripted(root / "motion.pt", Motion())
    sha = hashlib.sha256((root / "alex.pth").read_bytes()).hexdigest()
    return {"lpips": f"{root / 'alex.pth'}@{sha}", "fvd": motion}


def watch(film: np.ndarray) -> np.ndarray:
    """What `Motion` sees of one clip."""
    wide = film.astype(float)
    return np.array([*wide[0, 0, 0], np.abs(np.diff(wide, axis=0)).mean()])


class TestNumbers:
    @pytest.mark.slow
    def test_every_row_has_them(self, store: Store, given: dict[str, str]) -> None:
        eyes = perception.prepare(store, "val", 1, None, 2, lpips=given["lpips"], fvd_file=given["fvd"])
        model = Flicker(store.spec).eval()
        result = evaluate.evaluate({"flicker": model}, store, "val", samples=2, extras=eyes.extras)
        found = eyes.distances(result, 0, lambda done, total: None)
        row, scored = result.table()["flicker"], result.scores["flicker"]
        judge = eyes.lpips
        assert judge is not None and found is not None
        one = judge(tensor(scored[4].samples[1])[None], tensor(result.truth[4])[None])
        np.testing.assert_allclose(scored[4].more["lpips"][1], one[0])
        assert scored[0].more["lpips"].shape == (2, FRAMES - 1)
        assert row["lpips"] == pytest.approx(np.mean([s.more["lpips"].mean() for s in scored]))
        assert row["lpips best of 2"] == pytest.approx(np.mean([s.more["lpips"].mean(1).min() for s in scored]))
        assert row["lpips best of 2"] < row["lpips"]
        # FVD: the first sample of every video, with its given frame
        clips = [np.concatenate([g, s.samples[0]]) for g, s in zip(result.given, scored, strict=True)]
        real = np.stack([watch(np.concatenate([g, t])) for g, t in zip(result.given, result.truth, strict=True)])
        wanted = fvd.frechet(real, np.stack([watch(c) for c in clips]))
        assert row["fvd"] == pytest.approx(wanted, rel=1e-4)
        assert row["fvd extrapolated"] == found.rows["flicker"].extrapolated
        assert found.floor == pytest.approx(fvd.floor(real), rel=1e-4)
        assert result.table()["copy first frame"]["fvd"] > 0
        assert f"FVD of {VIDEOS} videos; real against real (halves, 8 against 8)" in found.words()[0]
        assert len(found.words()) == 1
        assert "16 videos are too few for 400 features" in replace(found, features=400).words()[1]
        kept = results.record(result, {})
        assert len(kept["episodes"][0]["scores"]["flicker"]["lpips"]) == FRAMES - 1
        assert "lower is better" in kept["rules"]["lpips"]

    def test_every_sample_counts_where_a_protocol_says_so(self, store: Store, given: dict[str, str]) -> None:
        named = replace(protocols.BUILT_IN["bair-1-15"], samples=2)
        eyes = perception.prepare(store, "val", 1, None, 2, None, named, fvd_file=given["fvd"])
        assert eyes.clip_rule == "16 x 2 samples against 16 real clips, context frames included"
        result = evaluate.evaluate({"flicker": Flicker(store.spec).eval()}, store, "val", samples=2, extras=eyes.extras)
        features = [s.features for s in result.scores["flicker"]]
        assert {f.shape for f in features if f is not None} == {(2, 4)}
        assert eyes.distances(result, 0, lambda done, total: None) is not None

    def test_ms_ssim_is_computed_of_large_frames_only(self, tmp_path: Path) -> None:
        frames = np.random.default_rng(0).integers(0, 256, (2, 176, 176, 3), dtype=np.uint8)
        for name in ("a", "b"):
            np.savez(tmp_path / f"{name}.npz", frames=frames)
        large = pack("npz", {"root": str(tmp_path), "condition": "none", "val": "a"}, tmp_path / "store", 1)
        eyes = perception.prepare(large, "val", 1, None, 1)
        assert not any("MS-SSIM" in line for line in eyes.missing())
        result = evaluate.evaluate({}, large, "val", extras=eyes.extras)
        assert 0 <= result.table()["copy first frame"]["ms_ssim"] < 0.9

    def test_told_otherwise_is_not_judged_again(self, store: Store) -> None:
        calls = []
        extras = evaluate.Extras({"lpips": lambda a, b: calls.append(1) or torch.zeros(a.shape[:2])})
        model = Flicker(store.spec).eval()
        result = evaluate.evaluate({"flicker": model}, store, "val", most=2, baselines=False, extras=extras)
        assert len(calls) == 2
        evaluate.told_otherwise(model, result, result.conditions)
        assert len(calls) == 2


class TestRules:
    def test_a_protocol_says_network_version_hash_and_clips(self, store: Store, given: dict[str, str]) -> None:
        eyes = perception.prepare(store, "val", 1, None, 1, lpips=given["lpips"], fvd_file=given["fvd"])
        record = applied.applied(store, "val", 1, None, 1, **eyes.rules()).record()
        assert record["lpips"].startswith("v0.1 AlexNet")
        assert given["lpips"][-64:] in record["lpips"]
        assert record["fvd"].startswith(protocols.ONE_SAMPLE)
        assert given["fvd"][-64:] in record["fvd"]
        without = applied.applied(store, "val", 1, None, 1, **perception.prepare(store, "val", 1, None, 1).rules())
        assert (without.lpips, without.fvd) == ("not computed: no weights",) * 2
        assert without.hash() != record["hash"]

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            ({"horizon": 8}, "at least 10 frames; 1 given and 8 predicted ones are 9"),
            ({"most": 15}, "FVD of 15 videos says nothing"),
        ],
    )
    def test_clips_that_cannot_be_compared(
        self, store: Store, given: dict[str, str], asked: dict[str, int], words: str
    ) -> None:
        with pytest.raises(ValueError, match=words):
            perception.prepare(store, "val", 1, **{"horizon": None, "samples": 1, **asked}, fvd_file=given["fvd"])

    def test_clips_of_several_lengths(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(perception, "episodes_for", lambda *_: [(None, 10), (None, 12)])
        with pytest.raises(ValueError, match="those of val have 11 to 13 frames. Give --horizon 10"):
            perception.prepare(store, "val", 1, None, 1, fvd_file="nowhere.pt")

    def test_small_frames_are_refused_before_anything_is_drawn(
        self, store: Store, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "spec", replace(store.spec, height=16))
        with pytest.raises(ValueError, match="at least 31 pixels a side; these are 16 x 32"):
            perception.prepare(store, "val", 1, None, 1, lpips=given["lpips"])


class TestCommand:
    @pytest.fixture
    def loaded(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        made = SimpleNamespace(model=Flicker(store.spec).eval(), name="flicker", step=1, settings={})
        monkeypatch.setattr("framecast.checkpoint.load", lambda *_: made)
        monkeypatch.setattr("framecast.report.run.draw", lambda *_: [])

    @pytest.mark.usefixtures("loaded")
    @pytest.mark.slow
    def test_with_and_without_weights(
        self, store: Store, given: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked: list[Any] = ["evaluate", "run", "--data", str(store.root), "--out"]
        weights = ["--lpips", given["lpips"], "--fvd", given["fvd"], "--samples", "2"]
        assert cli.main([*asked, str(tmp_path / "with"), *weights]) == 0
        said = capsys.readouterr().out
        assert "LPIPS (average)" in said and "FVD (extrapolated)" in said and "real against real" in said
        assert "no weights" not in said
        assert "MS-SSIM: not computed: frames too small" in said
        kept = json.loads((tmp_path / "with" / "results.json").read_text())
        assert given["fvd"][-64:] in kept["protocol"]["fvd"]
        assert set(kept["fvd"]["rows"]) == set(kept["table"])
        assert kept["fvd"]["rows"]["flicker"]["value"] == kept["table"]["flicker"]["fvd"]

        assert cli.main([*asked, str(tmp_path / "without")]) == 0
        assert (
            "LPIPS: not computed: no weights (--lpips FILE); FVD: not computed: no weights" in capsys.readouterr().out
        )

        assert cli.main(["compare", str(tmp_path / "with")]) == 0
        header, _, row = capsys.readouterr().out.splitlines()[1:4]
        assert "lpips best of 2" in header and "fvd extrapolated" in header
        assert f"{kept['table']['flicker']['fvd']:.1f}" in row
        means = compare.load(tmp_path / "with").rows[0].videos["lpips best of 2"].mean()
        assert means == pytest.approx(kept["table"]["flicker"]["lpips best of 2"])
        assert cli.main(["compare", str(tmp_path / "with"), str(tmp_path / "without"), "--anyway"]) == 0

    @pytest.mark.usefixtures("loaded")
    def test_a_wrong_hash_ends_in_words(
        self, store: Store, given: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = given["fvd"][:-65]
        assert cli.main(["evaluate", "run", "--data", str(store.root), "--out", str(tmp_path), "--fvd", path]) == 1
        assert f"If you trust it: --fvd {given['fvd']}" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "shape", "words"),
    [
        (lambda a, b: torch.zeros(a.shape[0]), "(2,)", "0 numbers that are not finite"),
        (lambda a, b: torch.zeros(a.shape[1::-1]), "(3, 2)", "0 numbers"),
        (lambda a, b: 1.0, "()", "0 numbers"),
        (lambda a, b: torch.full(a.shape[:2], float("nan")), "(2, 3)", "6 numbers that are not finite"),
    ],
)
def test_a_metric_gives_a_finite_number_for_every_frame(given: Any, shape: str, words: str) -> None:
    film = torch.zeros(2, 3, 3, 16, 16)
    with pytest.raises(ValueError, match=re.escape(f"The metric lpips gives {shape} with {words}")):
        evaluate.Extras({"lpips": given}).measured(film, film)


def test_a_metric_without_a_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="Say in RULES of metrics/extras.py by which rule 'mae' is computed"):
        evaluate.Extras({"mae": lambda a, b: (a - b).abs().mean((2, 3, 4))})
