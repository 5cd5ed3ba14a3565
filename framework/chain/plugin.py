"""How a class becomes a plugin: `@plugin` reads its declarations and functions. Plain Python, no compiler needed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeVar, overload

from zcframe.framework.errors import DeclarationError
from zcframe.framework.nearest import nearest
from zcframe.framework.state.declare import RESERVED_MEMBERS, Declaration, Lookup, Param
from zcframe.framework.state.flow.declare import Flows
from zcframe.framework.state.records import Records


class Verdict(IntEnum):
    """What becomes of a packet behind a plugin. A type of its own: a filter that returns another number is refused."""

    PASS = 0
    DROP = 1


PASS: Final = Verdict.PASS
DROP: Final = Verdict.DROP

BY_FLOW: Final = "5-tuple"
NEEDS: Final = ("", BY_FLOW, "ip-pair")
# What a plugin may say of its report: it is the same for packets in any order, and for parts of a capture, merged.
SHUFFLED: Final = "shuffled"
SPLIT: Final = "split"
CLAIMS: Final = (SHUFFLED, SPLIT)

FUNCTIONS: Final = ("filter", "ahead", "prefetch", "tick", "merge", "report", "lines")
# Seconds between ticks.
SHORTEST_TICK, LONGEST_TICK = 1e-3, 86400.0

C = TypeVar("C", bound=type)
Function = Callable[..., Any]


@dataclass(frozen=True)
class PluginClass:
    """What `@plugin` found in a class; kept there as `__zcframe__`.

    expression: tcpdump's, "" for every packet. needs: of which packets all are counted in one shard, "5-tuple" or
    "ip-pair"; "" where that does not matter. same: of CLAIMS, what leaves the report the same. interval: nanoseconds
    from a tick to the next; 0 without ticks.
    """

    name: str
    doc: str
    cls: type
    params: Mapping[str, Param]
    state: Mapping[str, Declaration | Records | Lookup]
    per_worker: bool
    expression: str
    needs: str
    filter: Function
    ahead: Function | None
    prefetch: Function | None
    merge: Function | None
    report: Function | None
    lines: Function | None
    same: tuple[str, ...] = ()
    tick: Function | None = None
    interval: int = 0


def _function(cls: type, name: str) -> Function | None:
    found = cls.__dict__.get(name)
    if isinstance(found, staticmethod):
        return found.__func__
    return found if inspect.isfunction(found) else None


def _arguments(
    cls: type, name: str, function: Function | None, expected: tuple[str, ...], *, optional: int = 0
) -> None:
    """Refuse a function that takes something else than `expected`, of which the last `optional` may be left out."""
    if function is None:
        return
    given = tuple(inspect.signature(function).parameters)
    if not len(expected) - optional <= len(given) <= len(expected):
        raise DeclarationError(f"{cls.__name__}.{name}({', '.join(given)}) must take ({', '.join(expected)})")


def _require_plain(cls: type, name: str, function: Function | None) -> None:
    """Refuse a function that does not return when it is called."""
    waits = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if waits or inspect.isgeneratorfunction(function):
        what = "is async: nothing waits for it" if waits else "yields: it is called once, and returns"
        raise DeclarationError(f"{cls.__name__}.{name}() {what}; write a plain function")


def _require_known(cls: type) -> None:
    """Refuse a function whose name is nearly one that is called: it would never be."""
    for name in cls.__dict__.keys() - set(FUNCTIONS):
        meant = nearest(name, FUNCTIONS) if _function(cls, name) is not None else ""
        if meant:
            raise DeclarationError(f"{cls.__name__}.{name}() is never called; did you mean {meant}?")


def _require_functions(cls: type) -> None:
    """Refuse a member that has the name of a function and is none: it would never be called."""
    for label in FUNCTIONS:
        if label in cls.__dict__ and _function(cls, label) is None:
            kind = type(cls.__dict__[label]).__name__
            raise DeclarationError(f"{cls.__name__}.{label} is a {kind}: a plain function is needed")
    if _function(cls, "filter") is None:
        inherited = "; of a base class, nothing is taken" if hasattr(cls, "filter") else ""
        raise DeclarationError(f"plugin {cls.__name__} has no function filter(pkt, state, params){inherited}")


def _claims(cls: type, same: Any) -> tuple[str, ...]:
    """What the author says of the report. Raises DeclarationError for what nobody can check."""
    given = (same,) if isinstance(same, str) else tuple(same)
    unknown = [claim for claim in given if claim not in CLAIMS]
    if unknown:
        raise DeclarationError(f"plugin {cls.__name__}: same={unknown[0]!r}; {' and '.join(CLAIMS)} are possible")
    return given


def _interval(cls: type, tick: float | None) -> int:
    """Nanoseconds between ticks. Raises DeclarationError where there is an interval and no function, or the reverse."""
    function = _function(cls, "tick")
    if tick is None and function is None:
        return 0
    if function is None:
        raise DeclarationError(f"plugin {cls.__name__}: tick={tick!r}; a function tick(state, now, params) is needed")
    if tick is None:
        raise DeclarationError(f"{cls.__name__}.tick() is never called: say how often, @plugin(tick=1.0) in seconds")
    if type(tick) not in (int, float) or not SHORTEST_TICK <= tick <= LONGEST_TICK:
        raise DeclarationError(f"plugin {cls.__name__}: tick={tick!r}; 0.001 to 86400 seconds are possible")
    return round(float(tick) * 1e9)


def _require_options(cls: type, name: Any, per: str, expression: str, needs: str) -> None:
    """Raises DeclarationError for an argument of @plugin that means nothing."""
    if name is not None and not (isinstance(name, str) and re.fullmatch(r"[\w.-]+", name)):
        raise DeclarationError(f"plugin {cls.__name__}: name={name!r}; a word of letters, digits, _, . and - is needed")
    if per not in ("bucket", "worker"):
        raise DeclarationError(f"plugin {cls.__name__}: state per {per!r}; 'bucket' or 'worker' is possible")
    if needs not in NEEDS:
        raise DeclarationError(f"plugin {cls.__name__}: needs={needs!r}; '5-tuple' or 'ip-pair' is possible")
    if not isinstance(expression, str):
        raise DeclarationError(
            f"plugin {cls.__name__}: filter={expression!r}; a tcpdump expression in quotes is needed"
        )


def _require_arguments(cls: type, functions: Mapping[str, Callable[..., Any] | None]) -> None:
    """Raises DeclarationError for a function that takes others than it is called with."""
    packet = ("pkt", "state", "params")
    for label, expected in {
        "filter": (*packet, "ahead") if functions["ahead"] else packet,
        "ahead": packet,
        "prefetch": packet,
        "tick": ("state", "now", "params"),
        "merge": ("states",),
        "report": ("merged", "params"),
        "lines": ("report",),
    }.items():
        _arguments(cls, label, functions[label], expected, optional=int(label == "report"))


def _read(cls: type, name: Any, per: str, expression: str, needs: str, same: Any, tick: Any) -> PluginClass:
    _require_known(cls)
    _require_functions(cls)
    functions = {label: _function(cls, label) for label in FUNCTIONS}
    for label, function in functions.items():
        _require_plain(cls, label, function)
    assert functions["filter"] is not None
    _require_options(cls, name, per, expression, needs)
    _require_arguments(cls, functions)
    members = cls.__dict__.items()
    if any(isinstance(value, Flows) for _, value in members):
        # Both directions of a flow are one row.
        needs = needs or BY_FLOW
    for label in RESERVED_MEMBERS:
        if isinstance(cls.__dict__.get(label), Declaration | Records | Lookup):
            raise DeclarationError(f"plugin {cls.__name__}: a member of its state cannot be called {label}")
    return PluginClass(
        name=name or cls.__name__.lower(),
        doc=inspect.cleandoc(cls.__doc__ or ""),
        cls=cls,
        params={label: value for label, value in members if isinstance(value, Param)},
        state={label: value for label, value in members if isinstance(value, Declaration | Records | Lookup)},
        per_worker=per == "worker",
        expression=expression.strip(),
        needs=needs,
        filter=functions["filter"],
        ahead=functions["ahead"],
        prefetch=functions["prefetch"],
        merge=functions["merge"],
        report=functions["report"],
        lines=functions["lines"],
        same=_claims(cls, same),
        tick=functions["tick"],
        interval=_interval(cls, tick),
    )


@overload
def plugin(cls: C, /) -> C: ...
@overload
def plugin(
    *,
    name: str | None = None,
    per: str = "bucket",
    filter: str = "",
    needs: str = "",
    same: Iterable[str] = (),
    tick: float | None = None,
) -> Callable[[C], C]: ...
def plugin(
    cls: Any = None,
    /,
    *,
    name: str | None = None,
    per: str = "bucket",
    filter: str = "",
    needs: str = "",
    same: Iterable[str] = (),
    tick: float | None = None,
) -> Any:
    """Declare a class as a plugin.

    The class holds Param, Array, Table and Records attributes, objects as LogHist, lists to look things up in as
    Patterns, and the functions

        filter(pkt, state, params) -> PASS or DROP   compiled; runs for every packet
        ahead(pkt, state, params) -> numbers, spots  compiled, optional; runs for the whole burst before filter, which
                                                     then takes (pkt, state, params, ahead): what it returned
        prefetch(pkt, state, params)                 compiled, optional; runs for the whole burst before filter
        tick(state, now, params)                     compiled, optional; runs at the end of each interval of `tick`
                                                     seconds; now: that end, in ns since the epoch
        merge(states) -> state                       optional; must be associative; default: the declared reductions
        report(merged[, params]) -> dict             optional; what --json shows; default: the merged state
        lines(report) -> list of str                 optional; the plugin's own lines in the live view

    name: in the ledger and the report, default the class's name in lower case. per: "bucket" keeps one state for each
    of the 129 buckets, so that it can move between workers; "worker" keeps one for each queue. filter: a tcpdump
    expression, of whose packets alone the class gets to see any; the others go on to the next plugin. needs: "5-tuple"
    or "ip-pair", if all packets of a flow, or of a pair of addresses, in both directions, must be counted in one state:
    the run hashes accordingly, or is refused where it would not. same: what the author says of the report, for
    `zcframe plugin check`: with "shuffled" it is the same for packets in any order, with "split" for the parts of a
    capture, merged. tick: seconds between calls of `tick`, from 0.001 to 86400. Raises DeclarationError for a class
    that is no plugin.
    """

    def mark(target: C) -> C:
        target.__zcframe__ = _read(target, name, per, filter, needs, same, tick)  # type: ignore[attr-defined]
        return target

    return mark(cls) if cls is not None else mark
