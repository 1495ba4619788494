"""Many samples of one video: the rules of their scores, and what they may depend on. Diagnosis."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from framecast import diagnose, evaluate, models, results
from framecast.evaluate import portions
from framecast.metrics.sampling import Diversity, best_of
from framecast.packing import pack
from framecast.report.run import draw
from framecast.store import Store

pytestmark = pytest.mark.usefixtures("float32")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Episodes of unequal lengths: 5, 6, 7 and 8 frames, in val."""
    root = tmp_path_factory.mktemp("recordings")
    random = np.random.default_rng(0)
    for i in range(6):
        length = 5 + i % 4
        frames = random.integers(0, 256, (length, 16, 16, 3), dtype=np.uint8)
        np.savez(root / f"e{i}.npz", frames=frames, action=random.normal(size=(length, 2)))
    return pack("npz", {"root": str(root), "val": "e0,e1,e2,e3", "test": "e5"}, root / "store", 1)


def model_for(store: Store, name: str = "latent") -> models.base.Model:
    """A model whose frames follow noise and condition."""
    torch.manual_seed(0)
    small: dict[str, Any] = {"widths": (8, 8, 8), "blocks": (1, 1, 1)}
    small |= {"state": 8, "z": 4} if name == "latent" else {}
    model = models.build(store.spec, name, small).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def test_the_best_is_chosen_by_its_mean_over_frames() -> None:
    scores = np.array([[10.0, 40.0, 10.0], [22.0, 22.0, 22.0], [5.0, 5.0, 5.0]])
    assert best_of(scores) == 22.0
    with pytest.raises(ValueError, match=r"\(K, T\)"):
        best_of(scores[0])


def test_diversity_is_the_distance_over_all_pairs() -> None:
    films = np.random.default_rng(1).integers(0, 256, (5, 3, 4, 4, 3), dtype=np.uint8)
    measured = Diversity()
    for film in films:
        measured.add(film)
    squares = [((a.astype(float) - b) ** 2).mean() for a, b in combinations(films, 2)]
    assert measured.value() == pytest.approx(np.sqrt(np.mean(squares)))
    same = Diversity()
    same.add(films[0])
    assert same.value() == 0
    same.add(films[0])
    assert same.value() == 0


def test_results_do_not_depend_on_how_many_are_drawn_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    model, runs = model_for(store), []
    for pixels in (1, 16 * 16 * 7, 2**21):
        monkeypatch.setattr(evaluate, "FRAMES_AT_ONCE", pixels)
        runs.append(evaluate.evaluate({"latent": model}, store, "val", 2, samples=5, baselines=False))
    for other in runs[1:]:
        for one, two in zip(runs[0].scores["latent"], other.scores["latent"], strict=True):
            np.testing.assert_allclose(one.psnr, two.psnr, atol=0.02)  # frames are rounded to bytes
            np.testing.assert_allclose(one.frames.astype(int), two.frames, atol=1)
            assert one.diversity == pytest.approx(two.diversity, abs=0.05)


def test_kept_films_hold_no_others_in_memory(store: Store) -> None:
    """A view of a batch would: 100 samples of 256 videos of 10 frames took 3.5 GB so."""
    result = evaluate.evaluate({"latent": model_for(store)}, store, "val", 2, samples=5, baselines=False)
    for scored in result.scores["latent"]:
        assert all(film.base is None for film in [scored.frames, *scored.samples])


def test_the_names_and_numbers_of_many_samples(store: Store) -> None:
    result = evaluate.evaluate({"latent": model_for(store)}, store, "val", 2, samples=4)
    row, copied = result.table()["latent"], result.table()["copy first frame"]
    scored = result.scores["latent"]
    assert [s.psnr.shape for s in scored] == [(4, n) for n in (3, 4, 5, 6)]
    assert row["psnr"] == pytest.approx(np.mean([s.psnr.mean() for s in scored]))
    assert row["psnr best of 4"] == pytest.approx(np.mean([s.psnr.mean(1).max() for s in scored]))
    assert row["ssim best of 4"] == pytest.approx(np.mean([s.ssim.mean(1).max() for s in scored]))
    assert row["psnr best of 4"] > row["psnr"]
    assert row["diversity"] > 0
    assert copied["psnr best of 4"] == copied["psnr"]
    assert copied["diversity"] == 0
    for one, truth in zip(scored, result.truth, strict=True):  # what is shown as the best is the best
        assert evaluate.score(truth, one.frames).psnr.mean() == pytest.approx(one.psnr.mean(1).max())
    kept = results.record(result, {})
    assert len(kept["episodes"][0]["scores"]["latent"]["of each sample"]["psnr"]) == 4
    assert "best of N" in kept["rules"]


def test_sample_k_is_the_same_in_an_evaluation_and_in_a_prediction(store: Store) -> None:
    from framecast.predictor import Predictor

    model = model_for(store)
    result = evaluate.evaluate({"latent": model}, store, "val", 2, seed=3, samples=3, baselines=False)
    episode = store.episode("val", 1)
    drawn = Predictor(model, "latent", {}).stream(episode.frames[:2], episode.condition, 3, seed=3, episode=1)
    for k, film in enumerate(np.concatenate(list(drawn), 1)):
        np.testing.assert_allclose(result.scores["latent"][1].samples[k].astype(int), film, atol=1)


def test_every_episode_has_noise_of_its_own(store: Store) -> None:
    """With one noise for all, the error of a video would be that of every other: FVD 37 in place of 1 (measured)."""
    model, episode = model_for(store), store.episode("val", 3)
    result = evaluate.evaluate({"latent": model}, store, "val", 2, samples=2, baselines=False)
    result.given, result.truth = [episode.frames[:2]] * 4, [episode.frames[2:]] * 4
    result.conditions = [episode.condition] * 4
    again = replace(result, scores={}, numbers=[0, 1, 2, 0])
    one, two, three, like_one = evaluate._draw("latent", model, again, 2, 0)[0]
    assert not np.array_equal(one.samples[0], two.samples[0])
    assert not np.array_equal(two.samples[0], three.samples[0])
    np.testing.assert_allclose(one.psnr, like_one.psnr, atol=0.02)


def test_pictures_of_samples(store: Store, tmp_path: Path) -> None:
    result = evaluate.evaluate({"latent": model_for(store)}, store, "val", 2, samples=4)
    assert {path.suffix for path in draw(result, tmp_path, 10, films=1)} == {".gif", ".png"}


def test_no_samples_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="--samples is 1 or more, not 0"):
        evaluate.evaluate({}, store, "val", samples=0)


def test_a_horizon_that_needs_more_truth_than_there_is(store: Store) -> None:
    with pytest.raises(ValueError, match="--horizon 9: the longest val episode of .* has 6 frames after 2 given"):
        evaluate.evaluate({}, store, "val", 2, 9, whole=True)
    result = evaluate.evaluate({}, store, "val", 2, 5, whole=True)
    assert ([len(truth) for truth in result.truth], result.numbers) == ([5, 5], [2, 3])
    assert [len(truth) for truth in evaluate.evaluate({}, store, "val", 2, 5).truth] == [3, 4, 5, 5]


class TestDiagnosis:
    def test_a_model_that_follows_its_condition(self, store: Store) -> None:
        model = model_for(store)
        result = evaluate.evaluate({"latent": model}, store, "val", 2, baselines=False)
        found = diagnose.diagnose("latent", model, result)
        plain = result.table()["latent"]["psnr"]
        assert found.psnr == pytest.approx(plain)
        assert evaluate.told_otherwise(model, result, result.conditions) == pytest.approx(plain)
        assert found.shuffled is not None and found.zero is not None and found.posterior is not None
        assert len({round(x, 6) for x in (found.psnr, found.shuffled, found.zero)}) == 3
        assert len(found.kl) == 4
        assert found.sigma > 0
        assert any("with another episode's" in line for line in found.words())

    def test_gains_compare_one_sample_with_one(self, store: Store) -> None:
        model = model_for(store)
        results = [evaluate.evaluate({"latent": model}, store, "val", 2, samples=n, baselines=False) for n in (1, 5)]
        one, many = (diagnose.diagnose("latent", model, result) for result in results)
        assert many.psnr == pytest.approx(one.psnr, abs=1e-3)
        assert many.shuffled == pytest.approx(one.shuffled)

    def test_a_posterior_that_is_the_prior_is_worth_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Samples against samples: the mean of the posterior would score better than any sample of the prior."""
        model = model_for(store)
        result = evaluate.evaluate({"latent": model}, store, "val", 2, baselines=False)
        parallel = model.parallel

        def blind(state: Any, cues: Any, noise: torch.Tensor) -> Any:
            state, step = parallel(state, replace(cues, seen=None), noise)
            return state, replace(step, posterior=step.prior)

        monkeypatch.setattr(model, "parallel", blind)
        found = diagnose.diagnose("latent", model, result)
        assert found.posterior == pytest.approx(found.psnr, abs=1e-3)
        assert (sum(found.kl), found.active) == (0, 0)

    def test_one_episode_has_no_other(self, store: Store) -> None:
        model = model_for(store)
        found = diagnose.diagnose("latent", model, evaluate.evaluate({"latent": model}, store, "test", 2))
        assert "with the same ones backwards (there is one episode)" in found.words()[0]

    def test_episodes_too_long_to_be_read_at_once_are_refused_before(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        longest = max(len(truth) for truth in evaluate.evaluate({}, store, "val", 2).truth)
        monkeypatch.setattr(diagnose, "TOGETHER", (2 + longest) * store.spec.height * store.spec.width)
        diagnose.check(store, "val", 2, None, None)
        monkeypatch.setattr(diagnose, "TOGETHER", (1 + longest) * store.spec.height * store.spec.width)
        with pytest.raises(ValueError, match=f"{longest} frames to predict.*Give --horizon {longest - 1} or less"):
            diagnose.check(store, "val", 2, None, None)
        diagnose.check(store, "val", 2, longest - 1, None)

    def test_a_model_without_conditions_and_latent(self, store: Store) -> None:
        copy = models.build(store.spec, "copy", {}).eval()
        found = diagnose.diagnose("copy", copy, evaluate.evaluate({"copy": copy}, store, "val", 2, baselines=False))
        assert (found.shuffled, found.posterior, found.kl) == (None, None, [])
        assert len(found.words()) == 1

    def test_what_is_told_in_place_of_the_truth(self) -> None:
        one, two = np.arange(6.0).reshape(3, 2), 10 + np.arange(10.0).reshape(5, 2)
        long, short = diagnose.others([one, two])
        assert long is not None and short is not None
        np.testing.assert_array_equal(long, two[:3])
        np.testing.assert_array_equal(short, one[[0, 1, 2, 2, 2]])
        np.testing.assert_array_equal(diagnose.others([one])[0], one[::-1])
        np.testing.assert_array_equal(diagnose.zeros([one])[0], np.zeros((3, 2)))

    def test_words_say_what_to_do(self) -> None:
        ignored = diagnose.Diagnosis(20.0, 19.9, 19.8, 20.0, [0.0, 0.0], 0, 0.1)
        text = "\n".join(ignored.words())
        assert "a gain of +0.10 dB" in text
        assert "hardly used" in text
        assert "0 of 2 units active" in text
        used = diagnose.Diagnosis(24.0, 19.9, 19.8, 25.0, [1.0, 0.0], 1, 0.1)
        assert "hardly used" not in "\n".join(used.words())

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"active": 0, "implied": 55.0}, r"the KL weighs 3e\+05 times too much"),
            ({"active": 0, "implied": 0.1, "kl": [0.1, 0.1]}, "not worth its KL"),
            ({"active": 0, "implied": None, "kl": [0.1, 0.1]}, "not worth its KL"),
            ({"active": 0, "kl": [5.0, 4.0]}, "says a little at many places"),
            ({"active": 2, "posterior": 29.0}, r"its latents are worth \+5.0 dB more"),
            ({"active": 2, "implied": 55.0}, None),
        ],
    )
    def test_why_a_latent_is_not_used(self, changes: dict[str, Any], words: str | None) -> None:
        base: dict[str, Any] = {"psnr": 24.0, "posterior": 24.1, "kl": [1.0, 1.0], "active": 2, "sigma": 0.1}
        text = "\n".join(diagnose.Diagnosis(**(base | changes)).words())
        assert bool(re.search(words, text)) if words else ("not used" not in text and "prior does not" not in text)

    def test_a_channel_of_a_map_is_active_where_any_place_of_it_is(self) -> None:
        means = 0.05 * torch.randn(50, 3, 64, generator=torch.Generator().manual_seed(0))
        assert diagnose.active_units(means) == 0
        means[:, 1, 7] += torch.linspace(-1, 1, 50)
        assert diagnose.active_units(means) == 1
        assert diagnose.active_units(means[:, :, 7:8]) == 1

    def test_a_run_without_conditions_is_not_blamed_for_them(self, store: Store) -> None:
        from framecast.values import Condition

        free = models.build(replace(store.spec, condition=Condition()), "latent", {"widths": (8, 8, 8)}).eval()
        result = evaluate.evaluate({"latent": free}, store, "val", 2, 2, baselines=False)
        assert diagnose.diagnose("latent", free, result).shuffled is None

    def test_the_sigma_is_not_that_of_the_best_sample(self, store: Store) -> None:
        model = model_for(store)
        found = [
            diagnose.diagnose("latent", model, evaluate.evaluate({"latent": model}, store, "val", 2, samples=samples))
            for samples in (1, 6)
        ]
        assert found[0].sigma == pytest.approx(found[1].sigma, rel=1e-4)


@pytest.mark.parametrize(
    ("count", "most", "sizes"), [(100, 18, [17] * 5 + [15]), (18, 18, [18]), (3, 9, [3]), (0, 9, [])]
)
def test_portions_are_of_about_one_size(count: int, most: int, sizes: list[int]) -> None:
    found = list(portions(list(range(count)), most))
    assert [len(some) for some in found] == sizes
    assert [job for some in found for job in some] == list(range(count))
