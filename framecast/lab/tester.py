"""Tester.py: films and submission.csv of the test sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from framecast.evaluate import score
from framecast.lab.dataset import counts
from framecast.lab.flags import Options
from framecast.lab.terminal import device
from framecast.predictor import Predictor, load
from framecast.progress import bar
from framecast.report.film import write_film
from framecast.sources._files import pictures_of
from framecast.sources._pictures import resize
from framecast.sources.dance import Dance
from framecast.submission import LENGTH, write_submission


def predict(o: Options) -> int:
    """Films and submission.csv of all test sequences, and scores where the truth is there."""
    if not o.ckpt_path:
        raise ValueError("Give the checkpoint to predict with, for example --ckpt_path OUT/epoch=69.ckpt")
    predictor, out = load(o.ckpt_path, device(o), (o.frame_H, o.frame_W)), Path(o.save_root)
    spec = predictor.spec
    if (spec.channels, spec.condition.kind) != (3, "picture"):
        raise ValueError(f"{o.ckpt_path} was trained with the condition {spec.condition}; labels are pictures.")
    source = Dance(o.DR, f"{spec.height}x{spec.width}")
    labels = {name: count for (_, name), (_, count) in counts(source, ["test"]).items()}
    if not labels:
        raise FileNotFoundError(f"{o.DR} has no folder test: there is nothing to predict.")
    for name, count in labels.items():
        if count != LENGTH:
            print(f"Note: test sequence {name} has {count} labels, not {LENGTH}, and gets as many rows.")
    if any(out.glob("pred_seq*.gif")) or (out / "submission.csv").exists():
        print(f"The films and submission.csv of an earlier test in {out} are replaced.")
    scores: list[str] = []
    with bar("predicting") as progress:
        total = sum(labels.values()) - len(labels)
        sequences = _sequences(predictor, source, out, lambda done: progress(done, total), scores)
        rows = write_submission(out / "submission.csv", sequences)
    print("\n".join(scores or ["There is no test/test_truth, so nothing to score."]))
    films = ", ".join(f"pred_seq{name}.gif" for name in labels)
    print(f"In {out}: {films} and submission.csv ({rows} rows).")
    return 0


def _sequences(
    predictor: Predictor, source: Dance, out: Path, progress: Callable[[int], None], scores: list[str]
) -> Iterator[np.ndarray]:
    """Every test sequence as uint8 (T, H, W, 3), the given first frame included; its film is written on the way."""
    done = 0
    for number, episode in enumerate(source.episodes("test")):
        assert episode.condition is not None
        given = pictures_of(source.root / "test" / "test_img" / episode.name)  # also where the truth is known
        film = [resize(given[:1], episode.condition.shape[1:3])]
        for piece in predictor.stream(film[0], episode.condition, seed=0, episode=number):
            film.append(piece[0])
            done += len(piece[0])
            progress(done)
        frames, truth = np.concatenate(film), episode.frames
        write_film(out / f"pred_seq{episode.name}.gif", frames, 30.0)
        if len(truth) == len(frames):
            found, copied = (score(truth[1:], f) for f in (frames[1:], truth[:1].repeat(len(truth) - 1, 0)))
            told = f"PSNR {found.psnr.mean():.2f} dB, SSIM {found.ssim.mean():.4f} over {len(truth) - 1} frames"
            scores.append(f"sequence {episode.name}: {told} (copying the first frame: {copied.psnr.mean():.2f} dB)")
        yield frames
