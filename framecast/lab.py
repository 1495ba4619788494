"""System A's two commands, with the course's flags, defaults and files.

    python Trainer.py --DR DATASET --save_root OUT --fast_train
    python Tester.py  --DR DATASET --save_root OUT --ckpt_path CKPT

Trainer.py trains `pose_cvae` with MSE + beta KL in the course's schedules, which move from epoch to epoch, and leaves
epoch={n}.ckpt in the course's form beside framecast's own run folder. Tester.py writes pred_seq{i}.gif and
submission.csv. What is heavy is imported once the flags are right.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from framecast.values import nearest

if TYPE_CHECKING:
    import numpy as np

    from framecast.data import Batches
    from framecast.store import Store

DIMS = ("F_dim", "L_dim", "N_dim", "D_out_dim")
Options = argparse.Namespace


def trainer_main(arguments: list[str] | None = None) -> None:
    """Trainer.py. Raises SystemExit with the status where something is wrong (1, 2) or it was stopped (130)."""
    o = flags("Trainer.py", "Trains the course's pose CVAE.").parse_args(arguments)
    _said("Trainer.py", lambda: _test(o) if o.test else _train(o))


def tester_main(arguments: list[str] | None = None) -> None:
    """Tester.py. Raises SystemExit with the status where something is wrong (1, 2) or it was stopped (130)."""
    o = flags("Tester.py", "Predicts each test sequence from its first frame and labels.").parse_args(arguments)
    _said("Tester.py", lambda: _predict(o))


def _said(program: str, work: Callable[[], int]) -> None:
    """Works; says what goes wrong in a line, and leaves with a status that is not 0."""
    try:
        status = work()
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        status = 130
    except (ValueError, OSError, FloatingPointError) as error:
        if os.environ.get("FRAMECAST_TRACEBACK"):
            raise
        text = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror}."
        print(f"{program}: {text}", file=sys.stderr)
        status = 1
    if status:
        sys.exit(status)


# --- flags ---------------------------------------------------------------------------------------------------------


class Flags(argparse.ArgumentParser):
    """A parser that names the nearest flag."""

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong in a line and leaves with status 2."""
        if message.startswith("unrecognized arguments:"):
            words = message.split()[2:]
            word = next((w for w in words if w.startswith("-")), words[0]).split("=")[0]
            known = [flag for action in self._actions for flag in action.option_strings]
            message = f"there is no flag {word}.{nearest(word, known)}"
        print(f"{self.prog}: {message}\nAll flags: python {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def flags(program: str, what: str) -> Flags:
    """The course's flags and defaults; both programs take all of them, as the course's do."""
    parser = Flags(prog=program, description=what, allow_abbrev=False)
    add, share = parser.add_argument, _number(float, 0, 1, above=True)
    anneal = {"choices": ["None", "Monotonic", "Cyclical"], "default": "Cyclical"}
    add("--DR", required=True, metavar="DATASET", help="folder that holds train, val and test")
    add("--save_root", required=True, metavar="OUT", help="folder for everything that is written; made if missing")
    add("--batch_size", type=_number(int, 1), default=2, help="clips in a batch")
    add("--lr", type=_number(float, 0, above=True), default=0.001, help="learning rate of the first epochs")
    add("--device", choices=["cuda", "cpu"], help="where to compute (default: a GPU where there is one)")
    add("--optim", choices=["Adam", "AdamW"], default="Adam", help="optimiser")
    add("--gpu", type=_number(int, 0), default=1, help="number of GPUs; framecast uses one")
    add("--test", action="store_true", help="no training: Trainer.py validates --ckpt_path")
    add("--store_visualization", action="store_true", help="a GIF of every epoch's validation in OUT/samples")
    add("--num_workers", type=_number(int, 0), default=4, help="processes that pack the pictures; training needs none")
    add("--num_epoch", type=_number(int, 1), default=70, help="epochs in all, those of --ckpt_path included")
    add("--per_save", type=_number(int, 1), default=3, help="epochs from one epoch=N.ckpt to the next")
    add("--partial", type=share, default=1.0, help="share of the training frames that is used, from the start")
    add("--train_vi_len", type=_number(int, 2), default=16, help="frames in a training clip")
    add("--val_vi_len", type=_number(int, 2), default=630, help="frames of the validation, the given one included")
    add("--frame_H", type=_number(int, 11), default=32, help="height of the frames")
    add("--frame_W", type=_number(int, 11), default=64, help="width of the frames")
    add("--F_dim", type=_number(int, 8), default=128, help="channels of the frame's features")
    add("--L_dim", type=_number(int, 2), default=32, help="channels of the label's features")
    add("--N_dim", type=_number(int, 4), default=12, help="channels of the latent")
    add("--D_out_dim", type=_number(int, 8), default=192, help="channels of the fused features")
    add("--tfr", type=_number(float, 0, 1), default=1.0, help="teacher forcing ratio of the first epochs")
    add("--tfr_sde", type=_number(int, 0), default=10, help="epoch from which the ratio falls")
    add("--tfr_d_step", type=_number(float, 0, 1), default=0.1, help="what it falls by in each epoch")
    add("--ckpt_path", metavar="CKPT", help="checkpoint to go on from or to test: the course's or framecast's")
    add(
        "--fast_train", action="store_true", help="the first epochs use --fast_partial of the frames; decay comes after"
    )
    add("--fast_partial", type=share, default=0.4, help="share of the frames in those epochs")
    add("--fast_train_epoch", type=_number(int, 0), default=5, help="number of those epochs")
    add("--kl_anneal_type", **anneal, help="how the KL's weight beta rises; None: it is 1")
    add("--kl_anneal_cycle", type=_number(int, 1), default=10, help="cycles of Cyclical over the run")
    add("--kl_anneal_ratio", type=share, default=1.0, help="share of a cycle (or of the run) in which beta rises")
    for action in parser._actions:
        if action.dest != "help" and action.default not in (None, False):
            action.help = f"{action.help} (default: %(default)s)"
    return parser


def _number(kind: type, low: float, high: float = float("inf"), above: bool = False) -> Callable[[str], Any]:
    """A reader of numbers from low (or above it) to high, for argparse."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
            fits = low <= value <= high and abs(value) != float("inf") and not (above and value == low)
        except ValueError:
            fits = False
        if not fits:
            range_ = ("above " if above else "from ") + str(low) + (f" to {high:g}" if high < float("inf") else "")
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} {range_}")
        return value

    return read


# --- training ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calendar:
    """Steps and epochs. The first `shorts` epochs have `short` steps (--fast_train), the others `full`."""

    full: int
    short: int
    shorts: int

    def epoch(self, steps: float) -> float:
        """Epochs done after that many steps."""
        head = self.shorts * self.short
        return steps / self.short if steps < head else self.shorts + (steps - head) / self.full

    def steps(self, epochs: int) -> int:
        """Steps of that many epochs."""
        return min(epochs, self.shorts) * self.short + max(0, epochs - self.shorts) * self.full


@dataclass(frozen=True)
class FastFirst:
    """Training batches by number: `fast` ones before step `until`, `full` ones from there on."""

    fast: Batches
    full: Batches
    until: int

    def __getitem__(self, k: int) -> Any:
        return (self.fast if k < self.until else self.full)[k]


@dataclass(frozen=True)
class Start:
    """What a checkpoint says of where training stood: epochs done, and what the last of them was done with."""

    path: Path
    weights: dict[str, Any]
    optimizer: dict[str, Any] | None = None
    epochs: int = 0
    lr: float | None = None
    tfr: float | None = None
    best: float = float("-inf")
    exact: bool = False  # the run's own last.ckpt: Lightning takes it up, in the middle of an epoch too

    def __str__(self) -> str:
        if self.exact:
            return f"Going on exactly where {self.path} was written."
        if not self.epochs:
            return f"Weights from {self.path}, which says nothing of epochs: the schedules begin anew."
        moments = "" if self.optimizer else " The optimiser's state is not in it and begins anew."
        return f"Going on from {self.path} with epoch {self.epochs}, its lr and teacher forcing ratio.{moments}"


def read_start(path: str, options: Options, out: Path) -> Start:
    """Reads the checkpoint that training goes on from.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no checkpoint, of another network, or its epochs are done already.
    """
    from framecast import checkpoint

    file = checkpoint.locate(path)
    data = checkpoint.read(file)
    if own := data.get(checkpoint.OWN):
        config = own.get("config", {})
        if own.get("model") != "pose_cvae" or config.get("sigmoid"):
            raise ValueError(f"{file} is not of the course's network. Go on with it by `framecast train --resume`.")
        weights = {k.removeprefix("model."): v for k, v in data["state_dict"].items() if k.startswith("model.")}
        start = Start(file, weights, exact=file.resolve() == (out / "checkpoints" / "last.ckpt").resolve())
    else:
        config, saved = checkpoint.course_config(file, data["state_dict"]), data.get("optimizer")
        if not (isinstance(saved, dict) and {"state", "param_groups"} <= set(saved)):
            saved = None  # in files of the course's program this is the weights again
        done, best = int(data.get("last_epoch", -1)) + 1, float(data.get("best_psnr", "-inf"))
        start = Start(file, data["state_dict"], saved, done, data.get("lr"), data.get("tfr"), best)
    other = [f"--{name} {config[name]}" for name in DIMS if config[name] != getattr(options, name)]
    if other:
        raise ValueError(f"{file} was trained with other dimensions. Give its own: {' '.join(other)}")
    if start.epochs >= options.num_epoch:
        raise ValueError(
            f"{file} has {start.epochs} epochs done; --num_epoch {options.num_epoch} leaves none to train."
        )
    return start


def _train(o: Options) -> int:
    from framecast.data import Batches
    from framecast.report.run import training_figures
    from framecast.training import run as training

    out, last = Path(o.save_root), Path(o.save_root) / "checkpoints" / "last.ckpt"
    start = read_start(o.ckpt_path, o, out) if o.ckpt_path else None
    if start is None and (any(out.glob("epoch=*.ckpt")) or (out / "metrics.csv").exists()):
        raise FileExistsError(f"{out} holds an earlier run. Go on with it by --ckpt_path, or give another --save_root.")
    _device(o)
    store = _packed(o, out)
    full, fast = (Batches(store, "train", o.batch_size, o.train_vi_len, partial=p) for p in (o.partial, o.fast_partial))
    calendar = Calendar(len(full), len(fast), o.fast_train_epoch if o.fast_train else 0)
    settings = _settings(o, calendar, start)
    _write_flags(o, out)
    print(f"{len(full)} steps an epoch" + (f", {len(fast)} in the first {calendar.shorts}" if calendar.shorts else ""))
    print(told := training.describe(settings, store.spec.values))
    if "WARNING" in told:
        print("         The course's programs have no such options; `framecast train --model pose_cvae` has.")
    if start:
        print(start)
    validate = _validator(o, store, out, calendar) if store.entries.get("val") else None
    if validate is None:
        print(f"{o.DR} has no val: the run is not validated.")
    course = _course(o, out, calendar, FastFirst(fast, full, calendar.steps(calendar.shorts)), start)
    config, resume = {name: getattr(o, name) for name in DIMS}, bool(start and start.exact)
    try:
        keeper = training.fit(store, settings, "pose_cvae", config, out, validate, resume, extra=[course])
    except FloatingPointError as error:  # with what these flags can do about it
        what = str(error).partition(" Try ")[0]
        raise FloatingPointError(f"{what} Try a lower --lr, or go on from an earlier file with --ckpt_path.") from None
    training_figures(out)
    if keeper.interrupted:
        print(f"Saved. To go on: the same command with --ckpt_path {last}")
        return 130
    last = out / f"epoch={o.num_epoch - 1}.ckpt"
    print(f"Trained: {last}. Beside it: metrics.csv, training.png, and the validation with its GIF.")
    print(f"Next: python Tester.py --DR {o.DR} --save_root {out} --ckpt_path {last}")
    return 0


def _settings(o: Options, calendar: Calendar, start: Start | None) -> Any:
    """The course's training in framecast's words; what a checkpoint says of lr and tfr goes before the flags."""
    from framecast.schedules import Milestones, Progress, Step
    from framecast.training.settings import Settings

    decay = Milestones(first=2 + calendar.shorts, second=5 + calendar.shorts)
    lr, tfr = o.lr, o.tfr
    if start and start.epochs:
        before = Progress(0, start.epochs - 1, o.num_epoch)
        if start.lr is not None and start.lr != o.lr * decay(before):
            lr = start.lr / decay(before)
        if start.tfr is not None and start.tfr != Step(o.tfr, o.tfr_sde, o.tfr_d_step)(before):
            tfr = start.tfr + o.tfr_d_step * max(0, start.epochs - o.tfr_sde)
    ramp = f"ratio={o.kl_anneal_ratio}"
    cyclical = f"cyclical:cycles={o.kl_anneal_cycle},{ramp}"
    return Settings(
        steps=calendar.steps(o.num_epoch),
        batch_size=o.batch_size,
        clip_length=o.train_vi_len,
        partial=o.partial,
        lr=lr,
        lr_schedule=f"milestones:first={decay.first},second={decay.second}",
        optim=o.optim,
        objective="mse",
        beta={"None": "1", "Monotonic": f"monotonic:{ramp}", "Cyclical": cyclical}[o.kl_anneal_type],
        tfr=f"step:start={tfr},from_epoch={o.tfr_sde},step={o.tfr_d_step}",
        # The course's program draws once and holds it for all batches of the epoch. Per frame is better founded, but
        # then these two commands would not train what the course's train.
        tfr_draw="epoch",
        schedule_unit="epoch",
        validations=o.num_epoch,
        val_frames=o.val_vi_len - 1,
        device=o.device or "auto",
    )


def _course(o: Options, out: Path, calendar: Calendar, batches: FastFirst, start: Start | None) -> Any:
    """The callback that makes framecast's training the course's: its epochs, its checkpoints, and going on from one."""
    import torch
    from lightning.pytorch.callbacks import LambdaCallback

    from framecast import checkpoint
    from framecast.training.callbacks import Validation

    def validation(trainer: Any) -> Any:
        return next((c for c in trainer.callbacks if isinstance(c, Validation)), None)

    def begin(trainer: Any, module: Any) -> None:
        module.epoch_of = calendar.epoch
        trainer.datamodule.batches = batches
        if start is None or start.exact:
            return
        checkpoint.fit(module.model, start.weights, start.path)
        if start.optimizer:  # its moments; what it is set to is for the flags to say
            optimizer = trainer.optimizers[0]
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": start.optimizer["state"], "param_groups": groups})
            for (
                weight,
                state,
            ) in optimizer.state.items():  # laid out like the weights: the fused step reads both in line
                for name, value in state.items():
                    if value.shape == weight.shape:
                        state[name] = torch.empty_like(weight).copy_(value)
        # Batches, noise and schedules hang on the number of steps done alone: the run goes on as if never stopped.
        loop = trainer.fit_loop.epoch_loop.automatic_optimization
        loop.optim_progress.optimizer.step.total.completed = calendar.steps(start.epochs)
        if found := validation(trainer):
            found.done, found.best = start.epochs, start.best

    def keep(trainer: Any, module: Any, *_: Any) -> None:
        done = calendar.epoch(trainer.global_step)
        number = int(done) - 1
        if done == int(done) and (number % o.per_save == 0 or done == o.num_epoch):
            best = getattr(validation(trainer), "best", None)
            save_course(out / f"epoch={number}.ckpt", module, trainer.optimizers[0], number, best)

    return LambdaCallback(on_fit_start=begin, on_train_batch_end=keep)


def save_course(path: Path, module: Any, optimizer: Any, epoch: int, best: float | None = None) -> None:
    """Writes a checkpoint in the course's form, whole or not at all, its tensors on the CPU.

    Two things differ: `optimizer` is the optimiser's state, and `best_psnr` of the validations so far stands beside it.

    Raises:
        OSError: the disk.
    """
    import torch

    from framecast.report.film import replacing

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return value.detach().cpu().contiguous() if isinstance(value, torch.Tensor) else value

    data = {"state_dict": plain(dict(module.model.state_dict())), "optimizer": plain(optimizer.state_dict())}
    data |= {"lr": module.logged["lr"], "tfr": module.logged["tfr"], "last_epoch": epoch}
    try:
        with replacing(path) as partial:
            torch.save(data if best is None else {**data, "best_psnr": best}, partial)
    except RuntimeError as error:  # torch's word for a full disk
        raise OSError(f"{path} could not be written ({error}). The one before it is untouched.") from error


def _write_flags(o: Options, out: Path) -> None:
    """OUT/lab.yaml: the flags of the run, and the versions and commit it is made with."""
    import yaml

    from framecast.report.film import replacing
    from framecast.training.run import provenance

    with replacing(out / "lab.yaml") as partial:
        partial.write_text(yaml.safe_dump({**vars(o), "made_with": provenance()}, sort_keys=False))


def _device(o: Options) -> str:
    from framecast.training.run import pick_device

    device = pick_device(o.device or "auto").type
    why = "" if o.device else " (torch sees a GPU)" if device == "cuda" else " (torch sees no GPU)"
    print(f"device: {device}{why}")
    if o.gpu > 1:
        print(f"--gpu {o.gpu}: framecast uses one GPU.")
    return device


def _packed(o: Options, out: Path) -> Store:
    """OUT/store, packed from DATASET once; again where the folder, the size or the files are not those it came from."""
    from framecast import store as stores
    from framecast.sources import SPLITS
    from framecast.sources.dance import Dance

    place, options = out / "store", {"root": str(Path(o.DR).resolve()), "size": f"{o.frame_H}x{o.frame_W}"}
    wanted = _counts(Dance(**options), SPLITS)
    if (place / stores.INDEX).is_file():
        try:
            made = stores.Store(place)
            have = {(s, e.name): (e.frames, e.conditions) for s, found in made.entries.items() for e in found}
            if made.index["options"] == options and have == wanted:
                print(f"The pictures are packed already, in {place}.")
                return made
        except ValueError:
            pass  # damaged, or of another version
        print(f"{place} does not hold these pictures at this size; they are packed again.")
        shutil.rmtree(place)
    with _bar("packing") as progress:
        return stores.pack("dance", options, place, max(1, o.num_workers), progress)


def _counts(source: Any, splits: Sequence[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """(split, episode) -> its frames and its labels, without reading one."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for split in splits:
        for part in source.parts(split):
            frames, labels = counts.get((split, part.episode), (0, 0))
            counts[split, part.episode] = frames + part.frames, labels + part.stop - part.start
    return counts


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; call it with the frames done and the frames in all."""
    from tqdm import tqdm

    pause = 0.1 if sys.stderr.isatty() else 20.0
    with tqdm(desc=what, unit=" frames", mininterval=pause, maxinterval=pause, file=sys.stderr) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update


# --- validation and prediction -------------------------------------------------------------------------------------


def _validator(o: Options, store: Store, out: Path, calendar: Calendar) -> Callable[[Any, int], Any]:
    """A validation for training: free-running over val, its PSNR beside that of copying the first frame, its film."""
    from tqdm import tqdm

    from framecast.evaluate import evaluate
    from framecast.report.film import write_film
    from framecast.report.panels import side_by_side

    horizon, steps = o.val_vi_len - 1, calendar.steps(o.num_epoch)
    copied = evaluate({}, store, "val", horizon=horizon).table()["copy first frame"]["psnr"]

    def validate(model: Any, step: int) -> dict[str, float]:
        result = evaluate({"prediction": model}, store, "val", horizon=horizon, baselines=step == steps)
        numbers, epoch = result.table()["prediction"], round(calendar.epoch(step)) - 1
        truth, found, labels = result.truth[0], result.scores["prediction"][0], result.conditions[0]
        told = f"PSNR {numbers['psnr']:.2f} dB over {len(truth)} frames (copying the first frame: {copied:.2f} dB)"
        tqdm.write(f"epoch {epoch}: {told}")
        if o.store_visualization:
            film = side_by_side(truth, found.frames, scale=3, condition=None if labels is None else labels[1:])
            write_film(out / "samples" / f"epoch={epoch}.gif", film, store.spec.fps)
        if step == steps:
            _write_validation(result, o, out / "validation")
        return {**numbers, "first": float(found.psnr[0]), "last": float(found.psnr[-1])}

    return validate


def _write_validation(result: Any, o: Options, folder: Path) -> None:
    """The film, and the PSNR of every frame as numbers and as a figure."""
    from framecast.evaluate import record, write_json
    from framecast.report.run import draw
    from framecast.training.run import provenance

    draw(result, folder, 30.0)
    about = {"flags": vars(o), "split": "val", "context": 1, "made_with": provenance()}
    write_json(folder / "results.json", record(result, about))


def _test(o: Options) -> int:
    """Trainer.py --test: validates a checkpoint."""
    from framecast import checkpoint
    from framecast.evaluate import evaluate

    if not o.ckpt_path:
        raise ValueError("--test validates a checkpoint: give it with --ckpt_path.")
    loaded, out = checkpoint.load(o.ckpt_path, _device(o), (o.frame_H, o.frame_W)), Path(o.save_root)
    store, who = _packed(o, out), {"prediction": loaded.model}
    with _bar("validating") as progress:
        result = evaluate(who, store, "val", horizon=o.val_vi_len - 1, progress=lambda _, *count: progress(*count))
    for name, numbers in result.table().items():
        print(f"{name:16}  PSNR {numbers['psnr']:.2f} dB, SSIM {numbers['ssim']:.4f}")
    _write_validation(result, o, out / "validation")
    print(f"The GIF, and the PSNR of every frame, are in {out / 'validation'}.")
    return 0


def _predict(o: Options) -> int:
    """Tester.py: films and submission.csv of all test sequences, and scores where the truth is there."""
    from framecast.predictor import load
    from framecast.sources.dance import Dance
    from framecast.submission import LENGTH, write_submission

    if not o.ckpt_path:
        raise ValueError("Give the checkpoint to predict with, for example --ckpt_path OUT/epoch=69.ckpt")
    predictor, out = load(o.ckpt_path, _device(o), (o.frame_H, o.frame_W)), Path(o.save_root)
    spec = predictor.spec
    if (spec.channels, spec.condition.kind) != (3, "picture"):
        raise ValueError(f"{o.ckpt_path} was trained with the condition {spec.condition}; labels are pictures.")
    source = Dance(o.DR, f"{spec.height}x{spec.width}")
    labels = {name: count for (_, name), (_, count) in _counts(source, ["test"]).items()}
    if not labels:
        raise FileNotFoundError(f"{o.DR} has no folder test: there is nothing to predict.")
    for name, count in labels.items():
        if count != LENGTH:
            print(f"Note: test sequence {name} has {count} labels, not {LENGTH}, and gets as many rows.")
    if any(out.glob("pred_seq*.gif")) or (out / "submission.csv").exists():
        print(f"The films and submission.csv of an earlier test in {out} are replaced.")
    scores: list[str] = []
    with _bar("predicting") as progress:
        total = sum(labels.values()) - len(labels)
        sequences = _sequences(predictor, source, out, lambda done: progress(done, total), scores)
        rows = write_submission(out / "submission.csv", sequences)
    print("\n".join(scores or ["There is no test/test_truth, so nothing to score."]))
    films = ", ".join(f"pred_seq{name}.gif" for name in labels)
    print(f"In {out}: {films} and submission.csv ({rows} rows).")
    return 0


def _sequences(
    predictor: Any, source: Any, out: Path, progress: Callable[[int], None], scores: list[str]
) -> Iterator[np.ndarray]:
    """Every test sequence as uint8 (T, H, W, 3), the given first frame included; its film is written on the way."""
    import numpy as np

    from framecast.evaluate import score
    from framecast.report.film import write_film
    from framecast.sources._files import pictures_of
    from framecast.sources._pictures import resize

    done = 0
    for episode in source.episodes("test"):
        first = pictures_of(source.root / "test" / "test_img" / episode.name)[
            :1
        ]  # given, also where the truth is known
        film = [resize(first, episode.condition.shape[1:3])]
        for piece in predictor.stream(film[0], episode.condition, seed=0):
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
