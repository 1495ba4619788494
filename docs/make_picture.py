"""Makes the README's picture from a finished demo: python docs/make_picture.py DEMO_FOLDER"""

import sys
from pathlib import Path

import numpy as np

from framecast import load
from framecast.report.film import write_film
from framecast.report.panels import side_by_side
from framecast.store import Store

FIRST, LAST, EVERY = 0, 300, 2  # frames 300 of 629, every second one: under 2 MB


def main() -> None:
    demo = Path(sys.argv[1])
    store = Store(demo / "store")
    episode = store.episode("test", 0)
    frames, poses = np.asarray(episode.frames), np.asarray(episode.condition)
    film = load(demo / "anchor").predict(frames[:1], poses[: LAST + 1])
    shown = slice(FIRST, LAST, EVERY)
    picture = side_by_side(frames[1 : LAST + 1][shown], film[shown], scale=4, condition=poses[1 : LAST + 1][shown])
    write_film(Path(__file__).parent / "dance.webp", picture, store.spec.fps / EVERY)


if __name__ == "__main__":
    main()
