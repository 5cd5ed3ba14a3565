"""From the words of --out to an output: KIND:TARGET[,OPTION=VALUE...]."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, Final

from zcframe.framework.errors import UsageError
from zcframe.framework.nearest import nearest, offer

from . import options
from .output import Output, OutputSpec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "zcframe.outputs"
# Of files: found without a look through what is installed, which takes a fifth of the start of a copy.
FILES: Final = {"pcap": "Pcap", "pcapng": "Pcapng"}
# What every output takes. `filter` takes all that follows it, commas too.
COMMON: Final = {
    "snaplen": options.count,
    "buffer": options.size,
    "shares": options.text,
    "share": options.text,
    "dead": options.on_dead,
    "shed": options.shed,
    "keep": options.keep,
    "shunt": options.shunt,
    "filter": options.text,
}
OPTION: Final = re.compile(r",([a-z]+)=")


def installed_outputs() -> dict[str, EntryPoint]:
    """The kinds of output that installed packages offer, by name."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in sorted(entry_points(group=GROUP))}


def _class_of(kind: str, text: str) -> type[Output]:
    """The class of a kind of output. Raises UsageError, which names the nearest one."""
    alone = kind == text
    if kind in FILES and not alone:
        return getattr(importlib.import_module(f".kinds.{kind}", __package__), FILES[kind])  # type: ignore[no-any-return]
    entries = installed_outputs()
    if kind not in entries or alone:
        known = list(entries)
        raise UsageError(f"--out {text}: KIND:TARGET is needed{offer(nearest(kind, known), known)}")
    return _load(entries[kind], text)


def _load(entry: EntryPoint, text: str) -> type[Output]:
    try:
        cls = entry.load()
    except Exception as error:
        raise UsageError(f"--out {text}: {entry.value} cannot be loaded: {type(error).__name__}: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Output)):
        raise UsageError(f"--out {text}: {entry.value} is no output: a class with the base Output is needed")
    return cls


def _pairs(rest: str) -> tuple[str, dict[str, str]]:
    """(target, options) of what stands behind the kind."""
    head, found = rest, {}
    if before := re.search(r",filter=", rest):
        head, found["filter"] = rest[: before.start()], rest[before.end() :]
    target, *words = OPTION.split(head)
    return target, found | dict(zip(words[::2], words[1::2], strict=True))


def parse_output(text: str) -> tuple[type[Output], OutputSpec]:
    """The class and the parsed words of an output. Raises UsageError, which names the nearest right word."""
    kind, _, rest = text.partition(":")
    cls = _class_of(kind, text)
    target, words = _pairs(rest)
    if not target:
        raise UsageError(f"--out {text}: a name is needed behind {kind}:")
    parsers = COMMON | dict(cls.options)
    values: dict[str, Any] = {}
    for name, word in words.items():
        if name not in parsers:
            raise UsageError(f"--out {text}: {kind} has no option {name}{offer(nearest(name, parsers), list(parsers))}")
        try:
            values[name] = parsers[name](word)
        except ValueError as error:
            raise UsageError(f"--out {text}: {name}={word}: {error}") from None
    return cls, OutputSpec(kind, target, values, text)
