"""The course's flags and defaults."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from framecast.values import nearest

DIMS = ("F_dim", "L_dim", "N_dim", "D_out_dim")
Options = argparse.Namespace


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
