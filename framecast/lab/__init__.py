"""System A's two commands, with the course's flags, defaults and files.

    python Trainer.py --DR DATASET --save_root OUT --fast_train
    python Tester.py  --DR DATASET --save_root OUT --ckpt_path CKPT

Trainer.py trains `pose_cvae` with MSE + beta KL in the course's schedules, which move from epoch to epoch, and leaves
epoch={n}.ckpt in the course's form beside framecast's own run folder. Tester.py writes pred_seq{i}.gif and
submission.csv. What is heavy is imported once the flags are right.
"""

from __future__ import annotations

from framecast.lab.flags import flags
from framecast.lab.terminal import leave


def trainer_main(arguments: list[str] | None = None) -> None:
    """Trainer.py. Raises SystemExit with the status where something is wrong (1, 2) or it was stopped (130)."""
    o = flags("Trainer.py", "Trains the course's pose CVAE.").parse_args(arguments)

    def work() -> int:
        if o.test:
            from framecast.lab.validation import validate

            return validate(o)
        from framecast.lab.trainer import train

        return train(o)

    leave("Trainer.py", work)


def tester_main(arguments: list[str] | None = None) -> None:
    """Tester.py. Raises SystemExit with the status where something is wrong (1, 2) or it was stopped (130)."""
    o = flags("Tester.py", "Predicts each test sequence from its first frame and labels.").parse_args(arguments)

    def work() -> int:
        from framecast.lab.tester import predict

        return predict(o)

    leave("Tester.py", work)
