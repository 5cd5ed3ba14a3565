"""argparse, with one-line errors that name the nearest option, and options built from the fields of RunConfig."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import NoReturn

from zcframe.framework.config import OPTIONS
from zcframe.framework.errors import UsageError
from zcframe.framework.nearest import hint


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of exiting; options may not be abbreviated."""

    def __init__(self, *, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False, argument_default=argparse.SUPPRESS)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} ({self.prog} --help lists the options)")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse `words`; the result holds only the options that were given. Raises UsageError.

        Where `behind` has a default, it holds the words behind the first --, as they are.
        """
        at = words.index("--") if self.get_default("behind") == () and "--" in words else len(words)
        options, unknown = self.parse_known_args(words[:at])
        if words[at:]:
            options.behind = tuple(words[at + 1 :])
        if unknown:
            self._refuse(unknown[0])
        return options

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("-"):
            self.error(f"unexpected argument {word!r}")
        name = word.partition("=")[0]
        self.error(f"there is no option {name}{hint(name, self._option_string_actions)}")


def add_options(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Give `parser` the options of these fields of RunConfig. Values stay text: `config.load` parses them."""
    for name in names:
        option = OPTIONS[name]
        flags = [f"--{option.name}"]
        if name == "verbose":
            flags.insert(0, "-v")
        if not option.metavar:
            parser.add_argument(*flags, dest=name, action="store_true", help=option.doc)
        elif option.many:
            parser.add_argument(*flags, dest=name, metavar=option.metavar, nargs="+", action="extend", help=option.doc)
        else:
            parser.add_argument(*flags, dest=name, metavar=option.metavar, help=option.doc)
