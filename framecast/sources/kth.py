"""KTH actions (Schuldt et al. 2004): six folders of grey films of 25 persons, split by person as in SVG."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from framecast.sources import Part, Source, files_in
from framecast.sources._pictures import resize
from framecast.values import Episode, Spec, nearest

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
NAME = re.compile(r"person(\d\d)_([a-z]+)_d[1-4]_uncomp\.avi")
PERSONS = {"train": range(1, 19), "val": range(19, 21), "test": range(21, 26)}  # SVG trains with 1-20
SIZES = (64, 128)
COUNTS = ("header", "decoded")


class Kth(Source):
    """ROOT/{boxing,handclapping,handwaving,jogging,running,walking}/personNN_ACTION_dN_uncomp.avi; an episode a film.

    Persons 21-25 are the test, as in SVG; of its training persons 1-20 the last two, 19 and 20, are for validation.
    Frames are grey; the whole picture of 160 x 120 is squeezed into a square by an antialiasing filter.

    Args:
        root: the folder that holds the six folders.
        size: pixels of a side of the frames, 64 or 128.
        count: where the number of frames comes from: header, the films' own word (compared when they are read), or
            decoded, by decoding every film once more; for films whose header is wrong.
    """

    example = "framecast pack kth data/kth --size 64 --out stores/kth"

    def __init__(self, root: str, size: int = 64, count: str = "header") -> None:
        if size not in SIZES:
            raise ValueError(f"--size is {size}; films of KTH are read at {' or '.join(map(str, SIZES))}.")
        if count not in COUNTS:
            raise ValueError(f"--count is one of {', '.join(COUNTS)}, not {count!r}.{nearest(count, COUNTS)}")
        self.size, self.count = size, count
        self.films = {split: [path for path, person in _films(root) if person in who] for split, who in PERSONS.items()}

    def spec(self) -> Spec:
        return Spec(self.size, self.size, 1, fps=25.0)

    def about(self) -> dict[str, str]:
        who = ", ".join(f"{split} {persons[0]}-{persons[-1]}" for split, persons in PERSONS.items())
        return {"persons": f"{who} (SVG trains with 1-20)", "pictures": "squeezed into a square, not cropped"}

    def parts(self, split: str) -> list[Part]:
        """One part a film, in the order of their names.

        Raises:
            ValueError: a file is no film, or its header does not say how many frames it has.
        """
        lengths = {path: _length(path, self.count) for path in self.films.get(split, [])}
        return [Part(path.stem.removesuffix("_uncomp"), 0, n, n, str(path)) for path, n in lengths.items()]

    def read(self, part: Part) -> Episode:
        """Frames uint8 (T, size, size, 1).

        Raises:
            ValueError: the film is damaged, or has another number of frames than its header says.
        """
        frames = _decode(Path(part.where))
        if len(frames) != part.frames:
            raise ValueError(
                f"{part.where} has {len(frames)} frames that can be decoded, but its header says {part.frames}. If it "
                f"was copied whole, give --count decoded, which decodes every film once more to count its frames."
            )
        return Episode(part.episode, resize(frames, (self.size, self.size)), None)


def _films(root: str) -> list[tuple[Path, int]]:
    """Every film and its person.

    Raises:
        FileNotFoundError: a folder is missing or empty.
        ValueError: a name is not of KTH's form.
    """
    missing = [action for action in ACTIONS if not (Path(root) / action).is_dir()]
    if missing:
        raise FileNotFoundError(
            f"{root} has no folder {', '.join(missing)}. KTH's films lie in six: {', '.join(ACTIONS)}. Unpack all."
        )
    films = []
    for action in ACTIONS:
        for path in files_in(Path(root) / action, "*.avi"):
            found = NAME.fullmatch(path.name)
            if not found or found[2] != action or not 1 <= int(found[1]) <= 25:
                raise ValueError(
                    f"{path} is not called as KTH's films are, person01_{action}_d1_uncomp.avi with persons 01-25 and "
                    f"d1-d4: who is in it decides its split. Rename it, or take it out."
                )
            films.append((path, int(found[1])))
    return films


def _length(path: Path, count: str) -> int:
    import av
    from av.error import FFmpegError

    if count == "decoded":
        return len(_decode(path))
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as film:
            length = film.streams.video[0].frames
    except (FFmpegError, IndexError) as error:
        raise _unreadable(path, error) from None
    if length < 1:
        raise ValueError(f"{path}: its header does not say how many frames it has. Give --count decoded.")
    return length


def _decode(path: Path) -> np.ndarray:
    """All frames of a film in grey, uint8 (T, H, W, 1)."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as film:
            frames = [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]
    except (FFmpegError, IndexError) as error:
        raise _unreadable(path, error) from None
    if not frames:
        raise ValueError(f"{path} holds no frame that can be decoded. Copy it again, or take it out.")
    if len({frame.shape for frame in frames}) > 1:
        raise ValueError(f"{path} has frames of several sizes. Convert it to one, or take it out.")
    return np.stack(frames)[..., None]


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = getattr(error, "strerror", None) or "it has no pictures"
    return ValueError(f"{path} is no readable film ({reason}). Copy or unpack it again, or take it out.")
