"""Reading checkpoints: framecast's own and the course's. Nothing in a file is executed (`weights_only=True`)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from framecast import models
from framecast.rollout import channels_last
from framecast.values import Condition, Spec

OWN = "hyper_parameters"
OLDER = "Was it made by another model, or an earlier framecast?"


@dataclass
class Loaded:
    """A model in eval mode and how it came to be (settings of training; empty for the course's)."""

    model: models.Model
    name: str
    settings: dict[str, Any]
    step: int


def locate(run: str | Path) -> Path:
    """The checkpoint of a run folder (`best`, else `last`), or the file itself.

    Raises:
        FileNotFoundError: neither.
    """
    run = Path(run)
    if run.is_file():
        return run
    for name in ("best", "last"):
        if (run / "checkpoints" / f"{name}.ckpt").is_file():
            return run / "checkpoints" / f"{name}.ckpt"
    what = "holds no checkpoints/best.ckpt or last.ckpt" if run.is_dir() else "does not exist"
    raise FileNotFoundError(f"{run} {what}. Give a run folder made by `framecast train`, or a .ckpt file.")


def read(path: str | Path) -> dict[str, Any]:
    """The contents of a checkpoint file.

    Raises:
        ValueError: cut off, no checkpoint, or one that would execute code.
    """
    data, reason = None, ""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as parts:  # torch compares no checksums
                if damaged := parts.testzip():
                    reason = f" ({damaged} in it has other bytes than were written)"
        data = None if reason else torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        reason = f" ({error.strerror or error})"
    except Exception:  # of damaged bytes torch's reader makes errors of any kind, and they help nobody who trains
        pass
    if data is None:
        raise ValueError(f"{path} is cut off or not a checkpoint{reason}. Use an earlier one, or train again.")
    if not isinstance(data, dict) or "state_dict" not in data:
        raise ValueError(f"{path} is not a checkpoint of framecast or of the course: it has no state_dict.")
    return data


def load(run: str | Path, device: str = "cpu", size: tuple[int, int] = (32, 64)) -> Loaded:
    """The model of a run folder or checkpoint file.

    Args:
        run: the folder or file.
        device: where the model goes.
        size: H x W, only for course checkpoints, which do not say it.

    Raises:
        FileNotFoundError, ValueError: see `locate` and `read`; or the weights do not fit the model.
    """
    path = locate(run)
    data = read(path)
    try:
        made = _own(path, data) if OWN in data else _of_the_course(path, data["state_dict"], size)
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{path} does not say what its model is ({error!r}). Use an earlier one.") from None
    made.model = channels_last(made.model.to(device)).eval()
    return made


def _own(path: Path, data: dict[str, Any]) -> Loaded:
    made = hyper_parameters(path, data)
    name, settings = made["model"], dict(made["settings"])
    model = models.build(Spec.from_dict(made["spec"]), name, made["config"])
    model.anchored = bool(settings.get("anchored", False))
    fit(model, {k.removeprefix("model."): v for k, v in data["state_dict"].items() if k.startswith("model.")}, path)
    return Loaded(model, name, settings, int(data.get("global_step", 0)))


def _of_the_course(path: Path, weights: dict[str, Any], size: tuple[int, int]) -> Loaded:
    model = models.build(Spec(*size, 3, Condition("picture", 3)), "pose_cvae", course_config(path, weights))
    fit(model, weights, path)
    return Loaded(model, "pose_cvae", {}, 0)


def check_same(path: str | Path, made: Mapping[str, Any]) -> None:
    """That a checkpoint is of the run which is to go on: same model, data and settings of the model.

    Args:
        path: of the checkpoint.
        made: the hyper parameters of the run (see `TrainingModule`).

    Raises:
        ValueError: see `read`; or it is of another run, and what differs.
    """
    found = hyper_parameters(path, read(path))
    for key, what in (("model", "the model"), ("config", "the model's settings"), ("spec", "the data")):
        if found[key] != made[key]:
            raise ValueError(
                f"{path} is of another run: {what} was {found[key]} and is {made[key]} here. A run goes on with its own"
                " checkpoint, on the store it was trained on."
            )


def hyper_parameters(path: str | Path, data: dict[str, Any]) -> dict[str, Any]:
    """Of a checkpoint (`read`): spec, model, config and settings of its run. Raises ValueError where it says none."""
    made = data.get(OWN)
    if not isinstance(made, dict) or not {"spec", "model", "config", "settings"} <= set(made):
        raise ValueError(f"{path} was written by another program: its hyper parameters are not framecast's.")
    return made


def load_all(runs: Sequence[str | Path], device: str = "cpu") -> dict[str, Loaded]:
    """Several runs by the names of their models; where two bear one name, all with their folder's too.

    Raises:
        FileNotFoundError, ValueError: as `load`; or two runs have one name and one folder name.
    """
    loaded = [load(run, device) for run in runs]
    names = [made.name for made in loaded]
    if len(set(names)) < len(names):
        names = [f"{made.name} ({Path(run).name})" for run, made in zip(runs, loaded, strict=True)]
    twice = max(names, key=names.count)
    if names.count(twice) > 1:
        raise ValueError(f"Two runs are both called {twice}. Give each once, in folders of different names.")
    return dict(zip(names, loaded, strict=True))


def fit(model: models.Model, weights: dict[str, Any], path: str | Path) -> None:
    """Puts weights into a model. Raises ValueError naming the first that does not fit or is no number."""
    for name, weight in weights.items():
        if isinstance(weight, torch.Tensor) and weight.is_floating_point() and not weight.isfinite().all():
            raise ValueError(f"{path} holds NaN or infinite weights ({name}). Use an earlier one, or train again.")
    missing, extra = [], []
    try:
        missing, extra = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        why = (lines[0] if lines else str(error)).rstrip(".")
        raise ValueError(f"{path} does not fit the model {model.name}: {why}. {OLDER}") from None
    if missing or extra:
        what = f"lacks {missing[0]!r}" if missing else f"has an unknown {extra[0]!r}"
        raise ValueError(f"{path} does not fit the model {model.name}: it {what}. {OLDER}")


def course_config(path: str | Path, weights: dict[str, Any]) -> dict[str, int]:
    """The course network's dimensions, from its weights' shapes. Raises ValueError where it is another network."""
    try:
        features = weights["frame_transformation.6.weight"].shape[0]
        latent = weights["Gaussian_Predictor.6.weight"].shape[0] // 2
        fused = weights["Decoder_Fusion.5.weight"].shape[0]
        label = weights["label_transformation.1.weight"].shape[0] * 2
    except (LookupError, AttributeError, TypeError):
        raise ValueError(f"{path} holds neither a framecast model nor the course's network.") from None
    return {"F_dim": features, "L_dim": label, "N_dim": latent, "D_out_dim": fused}
