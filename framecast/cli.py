"""The command line: finds the command, says what went wrong in one line. Each command is a file in `commands`."""

from __future__ import annotations

import ast
import errno
import importlib
import os
import signal
import sys
import threading
from difflib import get_close_matches
from pathlib import Path

from framecast.memory import keep_freed

FOLDER = Path(__file__).parent / "commands"
ORDER = (
    "demo",
    "synth",
    "record",
    "pack",
    "info",
    "export",
    "train",
    "predict",
    "evaluate",
    "compare",
    "drift",
    "study",
    "report",
    "score",
    "selftest",
)


def commands() -> dict[str, str]:
    """Every command and its one line of help: the first line of its file, read without importing it."""
    files = {p.stem: p for p in FOLDER.glob("*.py") if not p.stem.startswith("_")}
    known = [name for name in ORDER if name in files] + sorted(set(files) - set(ORDER))
    lines = {name: ast.get_docstring(ast.parse(files[name].read_text())) or "" for name in known}
    return {name: text.splitlines()[0] for name, text in lines.items()}


def overview() -> str:
    """What `framecast --help` prints."""
    rows = "\n".join(f"  {name:10} {line}" for name, line in commands().items())
    return f"""framecast: given a frame or a few, and a condition for every frame to come, draw the future.

usage: framecast COMMAND ...

{rows}

framecast COMMAND --help shows a command's options and an example.
Start with: framecast demo"""


def main(arguments: list[str] | None = None) -> int:
    """Runs a command. Returns the exit status: 0, 1 for what failed, 2 for what was asked wrongly, 130 for Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    threading.excepthook = _of_thread
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: what is half-written goes
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, FloatingPointError) as error:
        if os.environ.get("FRAMECAST_TRACEBACK"):
            raise
        print(f"framecast {' '.join(arguments[:1])}: {_words(error, arguments)}", file=sys.stderr)
        return 1


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        from framecast import __version__

        print(f"framecast {__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    known = commands()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        print(f"framecast: there is no command {name!r}.{hint} There are: {', '.join(known)}.", file=sys.stderr)
        return 2
    keep_freed()
    return importlib.import_module(f"framecast.commands.{name}").run(rest) or 0


def _of_thread(what: threading.ExceptHookArgs) -> None:
    """A full disk is said once, by the main thread, and not by TensorBoard's too."""
    if not (isinstance(what.exc_value, OSError) and what.exc_value.errno == errno.ENOSPC):
        threading.__excepthook__(what)


def _words(error: Exception, arguments: list[str]) -> str:
    """An error as a sentence; what the system says of files gets their name and a way on."""
    if isinstance(error, PermissionError):
        return f"no permission for {error.filename}. Choose another place, or change its rights."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        name = error.filename or _written(arguments)  # a file that is open already has no name any more
        where = f" while writing {name}" if name else ""
        return f"the disk is full{where}. Nothing half-written is left; make room and try again."
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
        for path in (Path(error.filename), *Path(error.filename).parents):
            if path.is_file():
                return f"{path} is a file, and a folder is to be made there. Give another place, or remove it."
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}."
    return str(error)


def _written(arguments: list[str]) -> str | None:
    """What --out, or a run's --resume, gives."""
    import argparse

    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--out", "--resume")
    return parser.parse_known_args(arguments)[0].out


if __name__ == "__main__":
    sys.exit(main())
