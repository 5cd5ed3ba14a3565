"""`zcframe report`: the JSON document of a run as a page for people."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from zcframe import __version__
from zcframe.framework.cli.parser import add_options
from zcframe.framework.config import STDIN
from zcframe.framework.errors import UsageError, ZcframeError

NEEDED: Final = {"zcframe", "source", "queues", "totals", "faults", "outputs", "plugins"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Several documents of one run, a line each as --stats-interval has them, show its course."
    parser.add_argument("file", metavar="RUN.json", help="what zcframe run --json printed; - is standard input")
    parser.add_argument("--html", metavar="FILE", help="write one page that needs nothing else; - is standard output")
    add_options(parser, ["verbose"])


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == STDIN else Path(file).read_text()
    except OSError as error:
        raise ZcframeError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ZcframeError(f"{file}: not a text, and no document of zcframe run --json") from error


def _documents(file: str, text: str) -> Iterator[Mapping[str, Any]]:
    """The documents in a text, one behind the other. Raises ZcframeError."""
    decoder, at = json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        line = text.count("\n", 0, at) + 1
        try:
            found, at = decoder.raw_decode(text, at)
        except ValueError as error:
            raise ZcframeError(f"{file}: line {line}: not JSON: {error}") from None
        if not isinstance(found, Mapping) or not found.keys() >= NEEDED:
            raise ZcframeError(f"{file}: line {line}: no document of a run, as zcframe run --json prints it")
        if found["zcframe"] != __version__:
            raise ZcframeError(f"{file}: written by zcframe {found['zcframe']}; this is {__version__}: use that one")
        yield found


def _write(page: str, file: str) -> None:
    """Write the page in one step, so that a browser never finds half of it. Raises ZcframeError."""
    if file == STDIN:
        print(page, end="")
        return
    part = f"{file}.part"
    try:
        Path(part).write_text(page)
        os.replace(part, file)
    except OSError as error:
        Path(part).unlink(missing_ok=True)
        raise ZcframeError(f"--html {file}: {error.strerror}") from error


def execute(options: argparse.Namespace) -> int:
    """Write the page."""
    if not hasattr(options, "html"):
        raise UsageError("--html FILE is needed: where the page goes")
    documents = list(_documents(options.file, _text(options.file)))
    if not documents:
        raise ZcframeError(f"{options.file}: empty; zcframe run --json prints the document at its end")
    from zcframe.framework.show.page import page

    try:
        text = page(documents)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise ZcframeError(f"{options.file}: a document of a run that lacks something: {cause}") from error
    _write(text, options.html)
    return 0
