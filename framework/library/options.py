"""The keyword arguments of `zcframe.run`: the options of the command, by the names of RunConfig's fields."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias, TypedDict
from urllib.parse import urlencode

from zcframe.framework.chain.plugin import PluginClass
from zcframe.framework.chain.spec import check_parameters
from zcframe.framework.config import OPTIONS, STDIN, RunConfig, load
from zcframe.framework.errors import UsageError
from zcframe.framework.nearest import hint

from .carried import Carried
from .errors import RunError
from .source import USAGE, carry, named

Text: TypeAlias = str | os.PathLike[str]
Texts: TypeAlias = Text | Sequence[Text]
# What the command takes, a class marked with @plugin, or one of both with its parameters.
Plugin: TypeAlias = str | type | tuple[str | type, Mapping[str, Any]]


class RunOptions(TypedDict, total=False):
    """Options of a run, as `zcframe run --help` describes them. None, and False, stand for "not given"."""

    queues: int | None
    read: Texts | None
    iface: str | Sequence[str] | None
    backend: Literal["auto", "zerocopy", "packet", "xdp"] | None
    fanout: Literal["hash", "qm", "ip-pair"] | None
    force: bool
    no_promiscuous: bool
    no_sandbox: bool
    loop: int | None
    pps: float | str | None
    speed: Literal["original", "max"] | None
    max_gap: float | None
    plugins: Plugin | Sequence[Plugin] | None
    filter: str | None
    rss_key: str | None
    rss_fields: Literal["ip-pair", "5-tuple"] | None
    cpus: str | None
    tune: bool
    ring_slots: int | None
    hugepages: bool
    verify_rss: bool
    out: str | Sequence[str] | None
    shares: int | str | None
    share: str | None
    on_dead: Literal["drain", "drop"] | None
    rows: str | Sequence[str] | None
    out_wait: float | None
    shed: Literal["off", "new", "elephants"] | None
    shed_keep: int | None
    shunt: int | str | None
    count_flows: bool
    duration: float | None
    count: int | None
    drain: float | None
    max_loss: float | None
    verbose: bool
    config: Text | None


# Options of the command that have no meaning here, and what stands in their place.
ABSENT: Final = {
    "json": "result.document is the document",
    "ctl": "snapshot() and stop() of zcframe.start are for that",
    "check": "zcframe run --check prints the plan",
    "stats_interval": "every=S of zcframe.run and zcframe.start is the time between snapshots",
}
NAMES: Final = (*(name for name in OPTIONS if name not in ABSENT), "config")


@dataclass(frozen=True)
class Request:
    """What the process of a run gets: given, as `config.load` takes it; the classes that travel as text.

    progress: whether the host wants to know of it. records: whether it wants what plugins emit.
    """

    given: Mapping[str, Any]
    carried: tuple[Carried, ...]
    progress: bool = False
    records: bool = True

    @property
    def reads_stdin(self) -> bool:
        return STDIN in self.given.get("read", ())


def _require_known(options: Mapping[str, Any]) -> None:
    for name in options:
        if name in ABSENT:
            raise RunError(f"{name}: only the command has it; {ABSENT[name]}", USAGE)
        if name not in NAMES:
            raise RunError(f"there is no option {name!r}{hint(name, NAMES)} (help(zcframe.run) lists them)", USAGE)


def _plain(value: Any) -> Any:
    """Paths as text, one or several."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _plugin(item: Plugin, carried: list[Carried]) -> str:
    """The words of --plugin for an item; the class that they name is added to `carried`. Raises RunError."""
    what, params = item if isinstance(item, tuple) and len(item) == 2 else (item, {})
    if not isinstance(what, str | os.PathLike) and not hasattr(what, "__zcframe__"):
        raise RunError(f"plugins: {what!r} is neither what --plugin takes nor a class marked with @plugin", USAGE)
    if not isinstance(params, Mapping):
        raise RunError(f"plugins: {params!r}: a dict of parameters is needed beside a plugin", USAGE)
    query = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in params.items()}
    if isinstance(what, str | os.PathLike):
        text = os.fspath(what)
        mark = "&" if "?" in text else "?"
    else:
        declared: PluginClass = what.__zcframe__
        check_parameters(declared, query.items(), f"plugin {what.__name__}")
        text, mark = named(what), "?"
        if not text:
            carried.append(carry(what))
            text = f"{carried[-1].module}:{what.__name__}"
    return f"{text}{mark}{urlencode(query)}" if query else text


def _plugins(value: Any) -> Iterator[Plugin]:
    several = isinstance(value, list) or (isinstance(value, tuple) and not _has_parameters(value))
    yield from value if several else (value,)


def _has_parameters(value: tuple[Any, ...]) -> bool:
    return len(value) == 2 and isinstance(value[1], Mapping)


def request(options: Mapping[str, Any]) -> Request:
    """Check the options as far as a host can, and have classes travel. Raises RunError."""
    _require_known(options)
    given = {name: _plain(value) for name, value in options.items() if value is not None and value is not False}
    carried: list[Carried] = []
    try:
        if "plugins" in given:
            given["plugins"] = [_plugin(item, carried) for item in _plugins(options["plugins"])]
        load(given)
    except UsageError as error:
        raise RunError(str(error), error.exit_code, details=error.details) from None
    return Request(given, tuple(carried))


def _default(name: str) -> Any:
    return next((field.default for field in fields(RunConfig) if field.name == name), None)


def describe(function: Callable[..., Any]) -> None:
    """Give a function that takes **options their names and documentation, for help() and for consoles that complete."""
    found = inspect.signature(function)
    own = [parameter for parameter in found.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    options = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_default(name)) for name in NAMES]
    function.__signature__ = found.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    lines = [f"    {name}: {OPTIONS[name].doc}" for name in NAMES if name in OPTIONS]
    lines.append("    config: a TOML file of options; those that are given go before it")
    function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Options:", *lines])
