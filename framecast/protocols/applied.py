"""A protocol and a store: may a result bear its name, and what was really done?"""

from __future__ import annotations

from dataclasses import replace

from framecast.models.base import Model
from framecast.protocols.protocol import BEST, MEAN, NOT, Protocol
from framecast.store import Store


def applied(
    store: Store,
    split: str,
    context: int,
    horizon: int | None,
    samples: int,
    most: int | None = None,
    named: Protocol | None = None,
    trained: str = "",
    lpips: str = NOT,
    fvd: str = NOT,
) -> Protocol:
    """The rules of an evaluation as they are: a named protocol's where they hold, or the caller's own.

    Args:
        store, split, context, horizon, samples, most: as `evaluate`.
        named: whose rules are asked for; `check` says whether they can be met.
        trained: given -> predicted frames of the runs' training clips, for a named protocol.
        lpips, fvd: by what they were computed, if they were.
    """
    index, count = store.index, len(store.entries_of(split))
    long = len(store.long_enough(split, context + (horizon or 1)))
    recordings = f"{count} videos" if long == count else f"the {long} of {count} videos that are long enough"
    recordings = f"the first {most} of {recordings}" if most and most < long else recordings
    recordings += f", crc32 {index['files'][f'{split}.frames.npy']['crc32']:08x}"
    camera = str(index["about"].get("camera") or index["options"].get("camera") or "")
    if named is None:
        data = f"{index['source']}, condition: {store.spec.condition}"
        named = Protocol("own", data, samples=samples, select=MEAN if samples == 1 else BEST)
        named = replace(named, context=context, horizon=horizon)
    else:
        named = replace(named, trained=trained)
    size = f"{store.spec.height}x{store.spec.width}"
    found = {"source": index["source"], "size": size, "split": split, "recordings": recordings}
    return replace(named, origin=_origin(store), camera=camera, lpips=lpips, fvd=fvd, **found)


def _origin(store: Store) -> str:
    """What a store says it was recorded from, or drawn with."""
    about = store.index["about"]
    return str(about.get("environment") or about.get("digits") or "")


def check(named: Protocol, store: Store, split: str, predictors: dict[str, Model], most: int | None) -> None:
    """Whether a store and models can be scored by a named protocol.

    Raises:
        ValueError: other recordings, another size or camera, a model told more or less, or videos that are too short.
    """
    index, size = store.index, f"{store.spec.height}x{store.spec.width}"
    camera = str(index["about"].get("camera") or "")
    wrong = []
    if index["source"] != named.source:
        wrong.append(f"it is of {named.data} (source {named.source}); {store.root} was packed from {index['source']}")
    elif size != named.size:
        wrong.append(f"its frames are {named.size}, those of {store.root} {size}")
    elif not _origin(store).startswith(named.origin):
        wrong.append(f"it is of {named.origin}, {store.root} of {_origin(store) or 'what is not known'}")
    elif named.camera and not camera.startswith((named.camera, "not told")):
        wrong.append(f"its camera is {named.camera}, that of {store.root} {camera or 'not known'}")
    kinds = {who: model.spec.condition.kind for who, model in predictors.items()}
    wrong += [f"a model is told: {named.condition}; {w} is told: {k}" for w, k in kinds.items() if k != named.condition]
    needed = named.context + (named.horizon or 1)
    short = [entry.name for entry in store.entries_of(split)[:most] if entry.frames < needed]
    if short:
        wrong.append(f"it needs {needed} frames of every video; {len(short)} of {store.root} are shorter, {short[0]!r}")
    if wrong:
        raise ValueError(f"The protocol {named.name} does not hold here: {'; '.join(wrong)}. Leave --protocol out.")
