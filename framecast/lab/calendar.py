"""The course's epochs, some of them short, as batches and schedules of ours."""

from __future__ import annotations

from dataclasses import dataclass

from framecast.data import Batches
from framecast.lab.course_checkpoint import Start
from framecast.lab.flags import Options
from framecast.schedules import Calendar, Milestones, Progress, Step
from framecast.training.settings import Settings
from framecast.values import Clip


@dataclass(frozen=True)
class FastFirst:
    """Training batches by number: `fast` ones before step `until`, `full` ones from there on."""

    fast: Batches
    full: Batches
    until: int

    def __getitem__(self, k: int) -> Clip:
        return (self.fast if k < self.until else self.full)[k]


def settings_of(o: Options, calendar: Calendar, start: Start | None) -> Settings:
    """The course's training in framecast's words; what a checkpoint says of lr and tfr goes before the flags."""
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
