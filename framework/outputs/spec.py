"""From the words of --out, or of --rows, to an output: KIND:TARGET[,OPTION=VALUE...]."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zcframe.framework.errors import UsageError
from zcframe.framework.nearest import nearest, offer

from . import options
from .output import Output, OutputSpec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# Of files: found without a look through what is installed, which takes a fifth of the start of a copy.
FILES: Final = {"pcap": "Pcap", "pcapng": "Pcapng"}


class Way(NamedTuple):
    """A way out. option: that names an output. group: of the entry points of its kinds. common: what each takes."""

    option: str
    group: str
    common: Mapping[str, Callable[[str], Any]]
    base: type[Output]


# What every output for frames takes. `filter` takes all that follows it, commas too.
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
FRAMES: Final = Way("out", "zcframe.outputs", COMMON, Output)


def installed_outputs(way: Way = FRAMES) -> dict[str, EntryPoint]:
    """The kinds of output that installed packages offer, by name."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in sorted(entry_points(group=way.group))}


def _class_of(way: Way, kind: str, given: str) -> type[Output]:
    """The class of a kind of output. Raises UsageError, which names the nearest one."""
    if way is FRAMES and kind in FILES:
        return getattr(importlib.import_module(f".kinds.{kind}", __package__), FILES[kind])  # type: ignore[no-any-return]
    entries = installed_outputs(way)
    if kind not in entries:
        raise _unknown(kind, given, list(entries))
    return _load(entries[kind], given, way.base)


def _unknown(kind: str, given: str, known: list[str]) -> UsageError:
    return UsageError(f"{given}: KIND:TARGET is needed{offer(nearest(kind, known), known)}")


def _load(entry: EntryPoint, given: str, base: type[Output]) -> type[Output]:
    try:
        cls = entry.load()
    except Exception as error:
        raise UsageError(f"{given}: {entry.value} cannot be loaded: {type(error).__name__}: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise UsageError(f"{given}: {entry.value} is no output: a class with the base {base.__name__} is needed")
    return cls


def _pairs(rest: str) -> tuple[str, dict[str, str]]:
    """(target, options) of what stands behind the kind."""
    head, found = rest, {}
    if before := re.search(r",filter=", rest):
        head, found["filter"] = rest[: before.start()], rest[before.end() :]
    target, *words = OPTION.split(head)
    return target, found | dict(zip(words[::2], words[1::2], strict=True))


def parse_output(text: str, way: Way = FRAMES) -> tuple[type[Output], OutputSpec]:
    """The class and the parsed words of an output. Raises UsageError, which names the nearest right word."""
    given = f"--{way.option} {text}"
    kind, colon, rest = text.partition(":")
    if not colon:
        raise _unknown(kind, given, list(installed_outputs(way)))
    cls = _class_of(way, kind, given)
    target, words = _pairs(rest)
    if not target:
        raise UsageError(f"{given}: a name is needed behind {kind}:")
    parsers = dict(way.common) | dict(cls.options)
    values: dict[str, Any] = {}
    for name, word in words.items():
        if name not in parsers:
            raise UsageError(f"{given}: {kind} has no option {name}{offer(nearest(name, parsers), list(parsers))}")
        try:
            values[name] = parsers[name](word)
        except ValueError as error:
            raise UsageError(f"{given}: {name}={word}: {error}") from None
    return cls, OutputSpec(kind, target, values, text)
