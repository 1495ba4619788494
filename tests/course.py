"""System A's flags for a tiny drawn dance, and what its programs say where they fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framecast.lab.flags import flags

ROOT = Path(__file__).parents[1]
SMALL = ["--frame_H", "16", "--frame_W", "32", "--F_dim", "8", "--L_dim", "4", "--N_dim", "4", "--D_out_dim", "8"]
SMALL += ["--num_workers", "1", "--device", "cpu"]
SHORT = ["--train_vi_len", "4", "--num_epoch", "3", "--tfr_sde", "1", "--tfr_d_step", "0.5"]
FAST = ["--fast_train", "--fast_train_epoch", "1", "--fast_partial", "0.5"]


def options(*more: str) -> Any:
    return flags("Trainer.py", "").parse_args(["--DR", "data", "--save_root", "out", *more])


def failed(capsys: pytest.CaptureFixture[str], main: Any, arguments: list[str]) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code, capsys.readouterr().err  # type: ignore[return-value]
