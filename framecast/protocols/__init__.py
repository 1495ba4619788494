"""Named, frozen, hashed evaluation protocols: the rules, those that are built in, and whether they hold for a store."""

from framecast.protocols.built_in import BUILT_IN, find
from framecast.protocols.protocol import (
    BEST,
    EVERY_SAMPLE,
    MEAN,
    NOT,
    ONE_SAMPLE,
    Protocol,
    Psnr,
    Published,
    checked,
    differences,
)

__all__ = [
    "BEST",
    "BUILT_IN",
    "EVERY_SAMPLE",
    "MEAN",
    "NOT",
    "ONE_SAMPLE",
    "Protocol",
    "Psnr",
    "Published",
    "checked",
    "differences",
    "find",
]
