"""The course's validation: after each epoch of training, and alone for Trainer.py --test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from framecast import checkpoint
from framecast.atomic import write_json
from framecast.evaluate import Result, evaluate
from framecast.lab.calendar import Calendar
from framecast.lab.dataset import packed
from framecast.lab.flags import Options
from framecast.lab.terminal import device
from framecast.progress import bar
from framecast.protocols.applied import applied
from framecast.report.film import write_film
from framecast.report.kept import keep
from framecast.report.panels import side_by_side
from framecast.report.run import draw
from framecast.results import record
from framecast.store import Store
from framecast.training.callbacks import Validate
from framecast.training.run import provenance


def validator(o: Options, store: Store, out: Path, calendar: Calendar) -> Validate:
    """A validation for training: free-running over val, its PSNR beside that of copying the first frame, its film."""
    horizon, steps = o.val_vi_len - 1, calendar.steps(o.num_epoch)
    copied = evaluate({}, store, "val", horizon=horizon).table()["copy first frame"]["psnr"]

    def run(model: Any, step: int) -> dict[str, float]:
        result = evaluate({"prediction": model}, store, "val", horizon=horizon, baselines=step == steps)
        numbers, epoch = result.table()["prediction"], round(calendar.epoch(step)) - 1
        truth, found, labels = result.truth[0], result.scores["prediction"][0], result.conditions[0]
        told = f"PSNR {numbers['psnr']:.2f} dB over {len(truth)} frames (copying the first frame: {copied:.2f} dB)"
        tqdm.write(f"epoch {epoch}: {told}")
        if o.store_visualization:
            film = side_by_side(truth, found.frames, scale=3, condition=None if labels is None else labels[1:])
            write_film(out / "samples" / f"epoch={epoch}.gif", film, store.spec.fps)
        if step == steps:
            _write(result, o, store, out / "validation")
        return {**numbers, "first": float(found.curve()[0]), "last": float(found.curve()[-1])}

    return run


def validate(o: Options) -> int:
    """Trainer.py --test: validates a checkpoint."""
    if not o.ckpt_path:
        raise ValueError("--test validates a checkpoint: give it with --ckpt_path.")
    loaded, out = checkpoint.load(o.ckpt_path, device(o), (o.frame_H, o.frame_W)), Path(o.save_root)
    store, who = packed(o, out), {"prediction": loaded.model}
    with bar("validating") as progress:
        result = evaluate(who, store, "val", horizon=o.val_vi_len - 1, progress=lambda _, *count: progress(*count))
    for name, numbers in result.table().items():
        print(f"{name:16}  PSNR {numbers['psnr']:.2f} dB, SSIM {numbers['ssim']:.4f}")
    if (out / "validation" / "results.json").is_file():
        print(f"The validation that was in {out / 'validation'} is replaced.")
    _write(result, o, store, out / "validation")
    print(f"The GIF, and the PSNR of every frame, are in {out / 'validation'}.")
    return 0


def _write(result: Result, o: Options, store: Store, folder: Path) -> None:
    """Films, and the PSNR of every frame as a figure and as numbers, with the rules that a report compares them by."""
    draw(result, folder, 30.0)
    horizon = o.val_vi_len - 1
    whole = horizon >= max(entry.frames for entry in store.entries_of("val")) - 1
    protocol = applied(store, "val", 1, None if whole else horizon, 1)
    about = {"flags": vars(o), "protocol": protocol.record(), "data": str(store.root), "split": "val", "context": 1}
    about |= {"fps": store.spec.fps, "films": keep(result, folder), "made_with": provenance()}
    write_json(folder / "results.json", record(result, about))
