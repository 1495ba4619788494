"""Write a synthetic data set as picture files: framecast synth dancer ROOT writes the course's layout."""

from __future__ import annotations

from shlex import quote

from framecast.commands._parser import Parser
from framecast.progress import bar

EXAMPLE = "framecast synth dancer data/dancer --train 23410 --val 630 --test 5 --seed 0"


def run(arguments: list[str]) -> int:
    from framecast.sources import dancer

    parser = Parser(
        "synth", "A generated dancer as PNGs in the course's layout, with the truth of the test beside it.", EXAMPLE
    )
    parser.add_argument("source", choices=["dancer"], help="what is drawn")
    parser.add_argument("root", type=str, help="the folder to make; must not exist yet")
    parser.add_argument("--train", type=int, default=23410, help="training frames (default: 23410)")
    parser.add_argument("--val", type=int, default=630, help="validation frames (default: 630)")
    parser.add_argument("--test", type=int, default=5, help="test sequences of 630 frames (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="of person, studio and motion (default: 0)")
    parser.add_argument("--size", type=str, default="32x64", help="HEIGHTxWIDTH of the pictures (default: 32x64)")
    options = parser.parse(arguments)
    total, done = options.train + options.val + 630 * options.test, 0
    with bar("drawing") as progress:

        def more(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        dancer.write(options.root, options.train, options.val, options.test, options.seed, options.size, more)
    print(
        f"Written to {options.root}.\n"
        f"Next: framecast pack dance {quote(options.root)} --size {options.size} --out stores/dancer"
    )
    return 0
