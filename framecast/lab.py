"""System A's two commands, with the course's flags, defaults and files.

    python Trainer.py --DR DATASET --save_root OUT --fast_train
    python Tester.py  --DR DATASET --save_root OUT --ckpt_path CKPT

Trainer.py trains `pose_cvae` with MSE + beta KL in the course's schedules, which move from epoch to epoch, and leaves
epoch={n}.ckpt in the course's form beside framecast's own run folder. Tester.py writes pred_seq{i}.gif and
submission.csv. What is heavy is imported when the flags are right.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
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
    options = flags("Trainer.py", "Trains the course's pose CVAE.").parse_args(arguments)
    _said("Trainer.py", lambda: _test(options) if options.test else _train(options))


def tester_main(arguments: list[str] | None = None) -> None:
    """Tester.py. Raises SystemExit with the status where something is wrong (1, 2) or it was stopped (130)."""
    options = flags("Tester.py", "Predicts every test sequence from its first frame and its labels.").parse_args(
        arguments
    )
    _said("Tester.py", lambda: _predict(options))


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
        named = isinstance(error, OSError) and error.filename and error.strerror
        text = f"{error.filename}: {error.strerror}." if named else str(error)
        print(f"{program}: {text}", file=sys.stderr)
        status = 1
    if status:
        sys.exit(status)


# --- flags ---------------------------------------------------------------------------------------------------------


class Flags(argparse.ArgumentParser):
    """A parser that takes no abbreviations and names the nearest flag."""

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong in a line and leaves with status 2."""
        known = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
        if message.startswith("unrecognized arguments:"):
            word = next((w for w in message.split()[2:] if w.startswith("-")), message.split()[2]).split("=")[0]
            message = f"there is no flag {word}.{nearest(word, known)}"
        print(f"{self.prog}: {message}\nAll flags: python {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def flags(program: str, what: str) -> Flags:
    """The course's flags and defaults; both programs take all of them."""
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = Flags(prog=program, description=what, allow_abbrev=False, formatter_class=formatter)
    add = parser.add_argument
    add("--DR", required=True, metavar="DATASET", help="folder that holds train, val and test")
    add("--save_root", required=True, metavar="OUT", help="folder for everything that is written; made if missing")
    add("--batch_size", type=_whole(1), default=2, help="clips in a batch")
    add("--lr", type=_above(0), default=0.001, help="learning rate of the first epochs")
    add("--device", choices=["cuda", "cpu"], help="where to compute; a GPU where there is one, if not given")
    add("--optim", choices=["Adam", "AdamW"], default="Adam", help="optimiser")
    add("--gpu", type=_whole(0), default=1, help="number of GPUs; framecast uses one")
    add("--test", action="store_true", help="no training: validate --ckpt_path only")
    add("--store_visualization", action="store_true", help="a GIF of every epoch's validation in OUT/samples")
    add("--num_workers", type=_whole(0), default=4, help="processes that pack the pictures; training needs none")
    add("--num_epoch", type=_whole(1), default=70, help="epochs in all, those of --ckpt_path included")
    add("--per_save", type=_whole(1), default=3, help="epochs from one epoch=N.ckpt to the next")
    add("--partial", type=_share, default=1.0, help="share of the training clips that is used")
    add("--train_vi_len", type=_whole(2), default=16, help="frames in a training clip")
    add("--val_vi_len", type=_whole(2), default=630, help="frames of the validation, the given first one included")
    add("--frame_H", type=_whole(11), default=32, help="height of the frames")
    add("--frame_W", type=_whole(11), default=64, help="width of the frames")
    add("--F_dim", type=_whole(8), default=128, help="channels of the frame's features")
    add("--L_dim", type=_whole(2), default=32, help="channels of the label's features")
    add("--N_dim", type=_whole(4), default=12, help="channels of the latent")
    add("--D_out_dim", type=_whole(8), default=192, help="channels of the fused features")
    add("--tfr", type=_within(0, 1), default=1.0, help="teacher forcing ratio of the first epochs")
    add("--tfr_sde", type=_whole(0), default=10, help="epoch from which the ratio falls")
    add("--tfr_d_step", type=_within(0, 1), default=0.1, help="what it falls by in each epoch")
    add("--ckpt_path", metavar="CKPT", help="checkpoint to go on from or to test: the course's or framecast's")
    add("--fast_train", action="store_true", help="the first epochs use --fast_partial of the clips; decay comes after")
    add("--fast_partial", type=_share, default=0.4, help="share of the clips in those epochs")
    add("--fast_train_epoch", type=_whole(0), default=5, help="number of those epochs")
    add(
        "--kl_anneal_type",
        choices=["None", "Monotonic", "Cyclical"],
        default="Cyclical",
        help="how the KL's weight rises",
    )
    add("--kl_anneal_cycle", type=_whole(1), default=10, help="cycles of Cyclical over the run")
    add(
        "--kl_anneal_ratio", type=_share, default=1.0, help="share of a cycle (or of the run) in which the weight rises"
    )
    return parser


def _number(kind: type, wanted: str, fits: Callable[[Any], bool]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return read


def _whole(least: int) -> Callable[[str], Any]:
    return _number(int, f"a whole number from {least}", lambda value: value >= least)


def _above(bound: float) -> Callable[[str], Any]:
    return _number(float, f"a number above {bound}", lambda value: bound < value < float("inf"))


def _within(low: float, high: float) -> Callable[[str], Any]:
    return _number(float, f"a number from {low} to {high}", lambda value: low <= value <= high)


_share = _number(float, "a share above 0 and up to 1", lambda value: 0 < value <= 1)


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
    exact: bool = False  # the run's own last.ckpt: Lightning takes it up in the middle of an epoch


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
        if own.get("model") != "pose_cvae":
            raise ValueError(
                f"{file} holds the model {own.get('model')}; Trainer.py trains the course's. Use `framecast train`."
            )
        config = own["config"]
        weights = {k.removeprefix("model."): v for k, v in data["state_dict"].items() if k.startswith("model.")}
        start = Start(file, weights, exact=file.resolve() == (out / "checkpoints" / "last.ckpt").resolve())
    else:
        config = checkpoint.course_config(file, data["state_dict"])
        saved = data.get("optimizer")
        real = isinstance(saved, dict) and {"state", "param_groups"} <= set(
            saved
        )  # the course's holds the weights again
        done = int(data.get("last_epoch", -1)) + 1
        best = float(data.get("best_psnr", "-inf"))
        start = Start(file, data["state_dict"], saved if real else None, done, data.get("lr"), data.get("tfr"), best)
    other = [f"--{name} {config[name]}" for name in DIMS if config[name] != getattr(options, name)]
    if other:
        raise ValueError(f"{file} was trained with other dimensions. Give its own: {' '.join(other)}")
    if start.epochs >= options.num_epoch:
        raise ValueError(
            f"{file} has {start.epochs} epochs done; --num_epoch {options.num_epoch} leaves none to train."
        )
    return start


def _train(o: Options) -> int:
    out = Path(o.save_root)
    start = read_start(o.ckpt_path, o, out) if o.ckpt_path else None
    if start is None and (any(out.glob("epoch=*.ckpt")) or (out / "metrics.csv").exists()):
        raise FileExistsError(f"{out} holds an earlier run. Go on with it by --ckpt_path, or give another --save_root.")
    from framecast.data import Batches
    from framecast.report.run import training_figures
    from framecast.training import run as training

    _say_device(o)
    store = _packed(o, out)
    full, fast = (
        Batches(store, "train", o.batch_size, o.train_vi_len, 0, "window", p) for p in (o.partial, o.fast_partial)
    )
    calendar = Calendar(len(full), len(fast), o.fast_train_epoch if o.fast_train else 0)
    settings = _settings(o, calendar, start)
    config = {name: getattr(o, name) for name in DIMS}
    _write_options(o, out)
    print(f"{len(full)} steps an epoch" + (f", {len(fast)} in the first {calendar.shorts}" if calendar.shorts else ""))
    print(training.describe(settings, store.spec.values))
    if start:
        print(_went_on(start))
    validate = _validator(o, store, out, calendar, settings.steps) if store.entries.get("val") else None
    if validate is None:
        print(f"{o.DR} has no val: the run is not validated.")
    course = _course(o, out, calendar, FastFirst(fast, full, calendar.steps(calendar.shorts)), start)
    resume = bool(start and start.exact)
    keeper = training.fit(store, settings, "pose_cvae", config, out, validate, resume, extra=[course])
    training_figures(out)
    if keeper.interrupted:
        print(f"Saved. To go on: the same command with --ckpt_path {out / 'checkpoints' / 'last.ckpt'}")
        return 130
    last = out / f"epoch={o.num_epoch - 1}.ckpt"
    print(f"Trained: {last}, and metrics.csv, training.png and validation in {out}.")
    print(f"Next: python Tester.py --DR {o.DR} --save_root {out} --ckpt_path {last}")
    return 0


def _settings(o: Options, calendar: Calendar, start: Start | None) -> Any:
    """The course's training in framecast's words; what a checkpoint says of lr and tfr goes before the flags."""
    from framecast import schedules
    from framecast.training.settings import Settings

    decay = schedules.Milestones(first=2 + calendar.shorts, second=5 + calendar.shorts)
    forcing = schedules.Step(o.tfr, o.tfr_sde, o.tfr_d_step)
    lr, tfr = o.lr, o.tfr
    if start and start.epochs:
        last = schedules.Progress(0, start.epochs - 1, o.num_epoch)
        if start.lr is not None and start.lr != o.lr * decay(last):
            lr = start.lr / decay(last)
        if start.tfr is not None and start.tfr != forcing(last):
            tfr = start.tfr + o.tfr_d_step * max(0, start.epochs - o.tfr_sde)
    beta = {
        "None": "1",
        "Monotonic": f"monotonic:ratio={o.kl_anneal_ratio}",
        "Cyclical": f"cyclical:cycles={o.kl_anneal_cycle},ratio={o.kl_anneal_ratio}",
    }
    return Settings(
        steps=calendar.steps(o.num_epoch),
        batch_size=o.batch_size,
        clip_length=o.train_vi_len,
        partial=o.partial,
        lr=lr,
        lr_schedule=f"milestones:first={decay.first},second={decay.second}",
        optim=o.optim,
        objective="mse",
        beta=beta[o.kl_anneal_type],
        tfr=f"step:start={tfr},from_epoch={o.tfr_sde},step={o.tfr_d_step}",
        # The course draws once and holds it for all batches of the epoch. Per frame is better founded, but then these
        # two commands would not train what the course's train.
        tfr_draw="epoch",
        schedule_unit="epoch",
        validations=o.num_epoch,
        val_frames=o.val_vi_len - 1,
        device=o.device or "auto",
    )


def _course(o: Options, out: Path, calendar: Calendar, batches: FastFirst, start: Start | None) -> Any:
    """The callback that makes framecast's training the course's: its epochs, its checkpoints, and going on from one."""
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
        optimizer = trainer.optimizers[0]
        if start.optimizer:  # its moments only: the settings of the optimiser are the flags'
            own = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": start.optimizer["state"], "param_groups": own})
        # Batches, noise and schedules all hang on the number of steps done: the run goes on as if it had not stopped.
        loop = trainer.fit_loop.epoch_loop.automatic_optimization
        loop.optim_progress.optimizer.step.total.completed = calendar.steps(start.epochs)
        if found := validation(trainer):
            found.done, found.best = start.epochs, start.best

    def keep(trainer: Any, module: Any, *_: Any) -> None:
        done = calendar.epoch(trainer.global_step)
        number = int(done) - 1
        if done == int(done) and (number % o.per_save == 0 or int(done) == o.num_epoch):
            found = validation(trainer)
            save_course(
                out / f"epoch={number}.ckpt", module, trainer.optimizers[0], number, found.best if found else None
            )

    return LambdaCallback(on_fit_start=begin, on_train_batch_end=keep)


def save_course(path: Path, module: Any, optimizer: Any, epoch: int, best: float | None = None) -> None:
    """Writes a checkpoint in the course's form, whole or not at all, all tensors on the CPU.

    Beside the course's keys: the optimiser's real state, and the best validation PSNR so far.

    Raises:
        OSError: the disk.
    """
    import torch

    from framecast.report.film import replacing

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return value.detach().cpu().contiguous() if isinstance(value, torch.Tensor) else value

    data = {
        "state_dict": plain(dict(module.model.state_dict())),
        "optimizer": plain(optimizer.state_dict()),
        "lr": module.logged["lr"],
        "tfr": module.logged["tfr"],
        "last_epoch": epoch,
        **({} if best is None else {"best_psnr": best}),
    }
    try:
        with replacing(path) as partial:
            torch.save(data, partial)
    except RuntimeError as error:  # torch's word for a full disk
        raise OSError(f"{path} could not be written ({error}). The one before it is untouched.") from error


def _went_on(start: Start) -> str:
    if start.exact:
        return f"Going on exactly where {start.path} was written."
    if not start.epochs:
        return f"Weights from {start.path}; it says nothing of epochs, so the schedules begin anew."
    moments = "" if start.optimizer else " It holds no state of the optimiser, which begins anew."
    return (
        f"Going on from {start.path} with epoch {start.epochs}, its learning rate and teacher forcing ratio.{moments}"
    )


def _say_device(o: Options) -> Any:
    from framecast.training.run import pick_device

    device = pick_device(o.device or "auto")
    why = "" if o.device else " (torch sees a GPU)" if device.type == "cuda" else " (torch sees no GPU)"
    print(f"device: {device.type}{why}")
    if o.gpu > 1:
        print(f"--gpu {o.gpu}: framecast uses one GPU.")
    return device


def _write_options(o: Options, out: Path) -> None:
    """OUT/lab.yaml: the flags of the run, and the versions and commit it is made with."""
    import yaml

    from framecast.report.film import replacing
    from framecast.training.run import provenance

    with replacing(out / "lab.yaml") as partial:
        partial.write_text(yaml.safe_dump({**vars(o), "made_with": provenance()}, sort_keys=False))


def _packed(o: Options, out: Path) -> Store:
    """OUT/store, packed from DATASET once. It is packed again where the folder, the size or the files are others."""
    from framecast import store as stores
    from framecast.sources import SPLITS
    from framecast.sources.dance import Dance

    place, options = out / "store", {"root": str(Path(o.DR).resolve()), "size": f"{o.frame_H}x{o.frame_W}"}
    source = Dance(**options)
    wanted = {s: [(p.episode, p.frames, p.stop - p.start) for p in source.parts(s)] for s in SPLITS}
    if (place / stores.INDEX).is_file():
        try:
            made = stores.Store(place)
            have = {(s, e.name): (e.frames, e.conditions) for s, found in made.entries.items() for e in found}
            if made.index["options"] == options and have == _sums(wanted):
                print(f"The packed pictures in {place} are used.")
                return made
        except ValueError:
            pass  # damaged, or of another version
        print(f"{place} does not hold these pictures at this size; they are packed again.")
        shutil.rmtree(place)
    with _bar("packing", 0) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return stores.pack("dance", options, place, max(1, o.num_workers), progress)


def _sums(parts: dict[str, list[tuple[str, int, int]]]) -> dict[tuple[str, str], tuple[int, int]]:
    """(split, episode) -> its frames and labels."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for split, found in parts.items():
        for episode, frames, labels in found:
            before = sums.get((split, episode), (0, 0))
            sums[split, episode] = before[0] + frames, before[1] + labels
    return sums


def _bar(what: str, total: int) -> Any:
    from tqdm import tqdm

    pause = 0.1 if sys.stderr.isatty() else 20.0
    return tqdm(desc=what, total=total, unit=" frames", mininterval=pause, maxinterval=pause, file=sys.stderr)


# --- validation and prediction -------------------------------------------------------------------------------------


def _validator(o: Options, store: Store, out: Path, calendar: Calendar, steps: int | None) -> Callable[[Any, int], Any]:
    """A validation for training: free-running over val, its PSNR beside that of copying the first frame, its film."""
    from tqdm import tqdm

    from framecast.evaluate import evaluate
    from framecast.report.film import write_film

    horizon = o.val_vi_len - 1
    copied = evaluate({}, store, "val", horizon=horizon).table()["copy first frame"]["psnr"]

    def validate(model: Any, step: int) -> dict[str, float]:
        result = evaluate({"prediction": model}, store, "val", horizon=horizon, baselines=step == steps)
        numbers, epoch = result.table()["prediction"], round(calendar.epoch(step)) - 1
        frames = len(result.truth[0])
        told = f"PSNR {numbers['psnr']:.2f} dB over {frames} frames (copying the first frame: {copied:.2f} dB)"
        tqdm.write(f"epoch {epoch}: {told}")
        if o.store_visualization:
            write_film(out / "samples" / f"epoch={epoch}.gif", _film(result), store.spec.fps)
        if step == steps:
            _write_validation(result, o, out)
        ends = result.scores["prediction"][0].psnr[[0, -1]]
        return {**numbers, "first": float(ends[0]), "last": float(ends[1])}

    return validate


def _film(result: Any) -> Any:
    from framecast.report.film import side_by_side

    shown = result.scores["prediction"][0].frames
    return side_by_side(result.truth[0], shown, scale=3, condition=result.conditions[0][-len(shown) :])


def _write_validation(result: Any, o: Options, out: Path) -> None:
    """OUT/val.gif, and OUT/validation with the PSNR of every frame as numbers and figures."""
    from framecast.evaluate import record, write_json
    from framecast.report.film import write_film
    from framecast.report.run import draw
    from framecast.training.run import provenance

    write_film(out / "val.gif", _film(result), 30.0)
    draw(result, out / "validation", 30.0, films=1)
    about = {"flags": vars(o), "split": "val", "context": 1, "made_with": provenance()}
    write_json(out / "validation" / "results.json", record(result, about))


def _test(o: Options) -> int:
    """--test: validates a checkpoint."""
    if not o.ckpt_path:
        raise ValueError("--test validates a checkpoint: give it with --ckpt_path.")
    from framecast import checkpoint
    from framecast.evaluate import evaluate

    out = Path(o.save_root)
    loaded = checkpoint.load(o.ckpt_path, str(_say_device(o)), (o.frame_H, o.frame_W))
    store = _packed(o, out)
    with _bar("validating", 0) as bar:
        result = evaluate(
            {"prediction": loaded.model}, store, "val", horizon=o.val_vi_len - 1, progress=lambda *_: bar.update()
        )
    for who, numbers in result.table().items():
        print(f"{who:16}  PSNR {numbers['psnr']:.2f} dB, SSIM {numbers['ssim']:.4f}")
    _write_validation(result, o, out)
    print(f"val.gif, and every frame's PSNR in validation, are in {out}.")
    return 0


def _predict(o: Options) -> int:
    """Tester.py: films and submission.csv of all test sequences, and scores where the truth is there."""
    if not o.ckpt_path:
        raise ValueError("Give the checkpoint to predict with: --ckpt_path OUT/epoch=69.ckpt")
    from framecast import checkpoint
    from framecast.predictor import Predictor
    from framecast.sources.dance import Dance
    from framecast.submission import LENGTH, write_submission

    loaded = checkpoint.load(o.ckpt_path, str(_say_device(o)), (o.frame_H, o.frame_W))
    spec = loaded.model.spec
    if (spec.channels, spec.condition.kind) != (3, "picture"):
        raise ValueError(f"{o.ckpt_path} was trained with the condition {spec.condition}; the labels are pictures.")
    source = Dance(o.DR, f"{spec.height}x{spec.width}")
    counts = [count for (split, _), count in _sums(_listed(source)).items() if split == "test"]
    if not counts:
        raise FileNotFoundError(f"{o.DR} has no folder test, so there is nothing to predict.")
    for number, (_, labels) in enumerate(counts):
        if labels != LENGTH:
            print(f"Note: test sequence {number} has {labels} labels, not {LENGTH}; it gets {labels} rows.")
    out = Path(o.save_root)
    if any(out.glob("pred_seq*.gif")) or (out / "submission.csv").exists():
        print(f"The films and submission.csv of an earlier test in {out} are replaced.")
    with _bar("predicting", sum(labels - 1 for _, labels in counts)) as bar:
        scores: list[str] = []
        predictor = Predictor(loaded.model, loaded.name, loaded.settings)
        rows = write_submission(out / "submission.csv", _sequences(predictor, source, out, bar, scores))
    print("\n".join(scores or ["There is no test/test_truth, so nothing to score."]))
    print(f"{len(counts)} films pred_seq0.gif ... and submission.csv ({rows} rows) are in {out}.")
    return 0


def _listed(source: Any) -> dict[str, list[tuple[str, int, int]]]:
    return {"test": [(p.episode, p.frames, p.stop - p.start) for p in source.parts("test")]}


def _sequences(predictor: Any, source: Any, out: Path, bar: Any, scores: list[str]) -> Iterator[np.ndarray]:
    """Every test sequence as uint8 (T, H, W, 3), the given first frame included; its film is written on the way."""
    import numpy as np

    from framecast.evaluate import score
    from framecast.report.film import write_film
    from framecast.sources._files import pictures_of
    from framecast.sources._pictures import resize

    for episode in source.episodes("test"):
        first = pictures_of(source.root / "test" / "test_img" / episode.name)[
            :1
        ]  # given, also where the truth is known
        film = [resize(first, episode.condition.shape[1:3])]
        for piece in predictor.stream(film[0], episode.condition, seed=0):
            film.append(piece[0])
            bar.update(len(piece[0]))
        frames = np.concatenate(film)
        write_film(out / f"pred_seq{episode.name}.gif", frames, 30.0)
        truth = episode.frames
        if len(truth) == len(frames):
            found, copied = (score(truth[1:], f) for f in (frames[1:], truth[:1].repeat(len(truth) - 1, 0)))
            told = f"PSNR {found.psnr.mean():.2f} dB, SSIM {found.ssim.mean():.4f} over {len(truth) - 1} frames"
            scores.append(f"sequence {episode.name}: {told} (copying the first frame: {copied.psnr.mean():.2f} dB)")
        yield frames
