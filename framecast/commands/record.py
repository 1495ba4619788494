"""Record a simulated environment into a store: framecast record pusht, or any Gymnasium environment with --env."""

from __future__ import annotations

from framecast.commands._parser import Parser

EXAMPLE = "framecast record pusht --episodes 500 --policy scripted --seed 0 --out stores/pusht"


def run(arguments: list[str]) -> int:
    from framecast.commands.pack import pack
    from framecast.sources.gym import SHORT, Gym
    from framecast.values import nearest

    parser = Parser("record", "Drives an environment without a screen and packs what it shows, on all cores.", EXAMPLE)
    parser.add_argument("name", nargs="?", type=str, default=None, help=f"{', '.join(SHORT)}; for others see --env")
    keys = parser.add_class_arguments(Gym, skip={"env"})
    parser.add_argument("--env", type=str, default=None, help="a Gymnasium environment: Reacher-v5, ALE/Pong-v5")
    parser.add_argument("--out", type=str, required=True, help="the store's folder; must not exist yet")
    parser.add_argument("--workers", type=int, default=None, help="processes; one per core if not given")
    options = parser.parse(arguments)
    if (options.name is None) == (options.env is None):
        parser.error(f"give one environment: {', '.join(SHORT)}, or another with --env Reacher-v5")
    if options.name not in (None, *SHORT):
        hint = nearest(options.name, SHORT)
        parser.error(
            f"there is no recording {options.name!r}.{hint} Give --env {options.name} for an environment's id."
        )
    chosen = {"env": options.name or options.env, **{key: options[key] for key in keys if key != "env"}}
    return pack(chosen, "gym", options.out, options.workers)
