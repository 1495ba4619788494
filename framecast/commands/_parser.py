"""What all commands share: a parser with kind errors, and tables."""

from __future__ import annotations

import re
import sys
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter


class Help(DefaultHelpFormatter):
    """Help in which text of several lines stays so."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" not in text:
            return super()._fill_text(text, width, indent)
        return "\n".join(indent + line for line in text.splitlines())


class Parser(ArgumentParser):
    """A parser that names the nearest option, takes --clip-length for --clip_length, and shows an example."""

    def __init__(self, name: str, what: str | None, example: str) -> None:
        super().__init__(
            prog=f"framecast {name}",
            description=what,
            epilog=f"example: {example}",
            exit_on_error=True,
            allow_abbrev=False,
            formatter_class=Help,
        )
        self.example = example
        self.where = ""  # what is read did not stand in the command line
        self.typed: set[str] = set()  # the options that stood there

    def parse(self, arguments: list[str]) -> Any:
        """The values of the options; leaves with status 2 and one clear line where something is wrong."""
        spelt = [
            re.sub(r"(?<=\w)-(?=\w)", "_", a.split("=")[0]) + a[len(a.split("=")[0]) :] if a.startswith("--") else a
            for a in arguments
        ]
        self.typed = {a.split("=")[0] for a in spelt if a.startswith("--")}
        return self.parse_args(spelt)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # type: ignore[override]
        """Prints what is wrong, what is close, and the example."""
        from framecast.values import nearest

        text = re.sub(r"\s+", " ", str(message)).strip()
        options = [o for action in self._actions for o in action.option_strings if o.startswith("--")]
        found = re.search(r"[Uu]nrecognized arguments: (\S+)", text)
        if found:
            word = found.group(1)
            text = f"there is no option {word}.{nearest(word.split('=')[0], options)}"
        literal = re.search(r'"?key "(\w[\w.]*)": Expected a typing.Literal\[(.*?)\]. Got value: (.*)', text)
        if literal:
            allowed = re.findall(r"'([^']+)'", literal.group(2))
            option, _, value = literal.groups()
            text = f"--{option} is one of {', '.join(allowed)}, not {value!r}.{nearest(value, allowed)}"
        wrong = re.search(r'[Kk]ey "(\w[\w.]*)": .*?(int|float|bool|list|tuple).*(?:Given|Got) value: (.*)', text)
        if wrong and not literal:
            kinds = {"int": "a whole number", "float": "a number", "bool": "true or false"}
            text = f"--{wrong.group(1)} takes {kinds.get(wrong.group(2), 'a list')}, not {wrong.group(3)!r}."
        choice = re.search(r"invalid choice: '?([^' ]+)'? \(choose from (.*)\)", text)
        if choice:
            allowed = re.findall(r"[\w.-]+", choice.group(2))
            text = f"{text}{nearest(choice.group(1), allowed)}"
        print(
            f"{self.prog}: {self.where}{text}\nexample: {self.example}\nAll options: {self.prog} --help",
            file=sys.stderr,
        )
        sys.exit(2)


def table(rows: list[list[str]], header: list[str]) -> str:
    """Rows of text in columns: the first to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: list[str]) -> str:
        first, *rest = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join([first, *rest]).rstrip()

    return "\n".join([line(header), "  ".join("-" * w for w in widths), *map(line, rows)])
