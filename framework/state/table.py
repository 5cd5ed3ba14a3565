"""The hash table's verbs, written out for each table's own key: find, upsert, delete, spot, prefetch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from numba.core import types
from numba.core.errors import TypingError
from numba.core.types.misc import Omitted
from numba.extending import overload_method

from zcframe.framework.abi import CACHE_LINE
from zcframe.framework.jit.address import (
    add_floats,
    clear_bytes,
    copy_bytes,
    journal_load_u64,
    keep,
    known,
    mul_high,
    prefetch_write,
    seldom,
    shift_right,
    state_load_be64,
    state_store_be64,
)
from zcframe.framework.jit.compiler import outlined
from zcframe.framework.jit.part import FORCE
from zcframe.framework.packet.search import same_bytes
from zcframe.framework.packet.view import viewed

from .compiled import SpotType, TableType, row_maker, spot_maker, spot_words
from .declare import MAX_KEYS
from .journal import LOAD, STORE, WRITE, enter, reserve
from .keys import digest, words_of_key
from .layout import TABLE_HEADER, TableLayout
from .overflow.claim import claim
from .overflow.lines import grow_lines, prune_lines
from .probe import begin_lines, beyond_lines, delete_lines, find_lines, first_look_lines, full_lines, upsert_lines
from .values import takes, text_length

# numba lowers no *args of a method, so that a key's words are arguments with a default.
SIGNATURE = "table, " + ", ".join(f"k{i}=None" for i in range(MAX_KEYS))
Ending = Callable[[TableLayout], list[str]]
Search = Callable[..., Callable[..., Any]]


def scope_of(layout: TableLayout) -> dict[str, Any]:
    """The names that source text of probe.py uses."""
    return {
        "__name__": __name__,
        "int64": types.int64,
        "journal_load_u64": journal_load_u64,
        "mul_high": mul_high,
        "shift_right": shift_right,
        "seldom": seldom,
        "claim": claim,
        "prefetch_write": prefetch_write,
        "reserve": reserve,
        "keep": keep,
        "enter": enter,
        "known": known,
        "make_row": row_maker(layout),
        "copy_bytes": copy_bytes,
        "clear_bytes": clear_bytes,
        "add_floats": add_floats,
        "load_be8": state_load_be64,
        "store_be8": state_store_be64,
        "viewed": viewed,
        "text_length": text_length,
        "digest": digest,
        "same_bytes": same_bytes,
        "make_spot": spot_maker(layout),
        "spot_words": spot_words,
        **{f"load{size}": load for size, load in LOAD.items()},
        **{f"store{size}": store for size, store in STORE.items()},
        **{f"write{size}": write for size, write in WRITE.items()},
    }


def written_out(head: str, lines: list[str], scope: dict[str, Any]) -> Callable[..., Any]:
    """The function of this head and these lines."""
    exec(f"def written({head}):\n" + "".join(f"    {line}\n" for line in lines), scope)
    function: Callable[..., Any] = scope["written"]
    return function


def overflowing(layout: TableLayout) -> dict[str, Any]:
    """`_scope`, with what is called where a window is full."""
    scope = scope_of(layout)
    key = ", ".join(words_of_key(layout))
    free = f"base, journal, h, free, {key}"
    scope["beyond"] = outlined(written_out(f"base, journal, h, {key}", beyond_lines(layout), scope_of(layout)))
    if layout.deletes:
        scope["prune"] = outlined(written_out("base, journal, h", prune_lines(layout), scope_of(layout)))
    scope["grow"] = outlined(written_out("base, journal, h, link", grow_lines(layout), scope_of(layout)))
    scope["full"] = outlined(written_out(free, full_lines(layout), dict(scope)))
    return scope


def _search(rest: Ending, layout: TableLayout, *, spot: bool) -> Callable[..., Any]:
    """The function that looks at the key's first slot, and has the rest done where it is not there."""
    key = ", ".join(words_of_key(layout))
    further = outlined(written_out(f"base, journal, h, {key}", rest(layout), overflowing(layout)))
    lines = [
        *begin_lines(layout, spot=spot),
        *first_look_lines(layout, spot=spot),
        f"found, new = further(base, journal, h, {key})",
        "return make_row(found, new, journal)",
    ]
    return written_out(SIGNATURE, lines, {**scope_of(layout), "further": further})


def _delete(layout: TableLayout, *, spot: bool) -> Callable[..., Any]:
    """The function that has a row deleted."""
    if not layout.deletes:
        raise TypingError(f"zcframe: {layout.name}.delete() is called by a name of its own only, in plain functions")
    key = ", ".join(words_of_key(layout))
    gone = outlined(written_out(f"base, journal, h, {key}", delete_lines(layout), overflowing(layout)))
    lines = [*begin_lines(layout, spot=spot), f"return gone(base, journal, h, {key})"]
    return written_out(SIGNATURE, lines, {**scope_of(layout), "gone": gone})


def _prefetch_lines(layout: TableLayout) -> list[str]:
    lines = [f"at = base + {TABLE_HEADER} + (h & {layout.slots - 1}) * {layout.slot_size}", "prefetch_write(at)"]
    if layout.slot_size % CACHE_LINE:
        lines.append(f"prefetch_write(at + {layout.slot_size - 1})")
    return lines


def _spot_lines(layout: TableLayout) -> list[str]:
    key = "".join(f"{word}, " for word in words_of_key(layout))
    return [*_prefetch_lines(layout), f"return make_spot(at, h, ({key}))"]


def _look_ahead(layout: TableLayout, ending: Ending) -> Callable[..., Any]:
    """The function that finds out where a key belongs, without a look into the table."""
    return written_out(SIGNATURE, [*begin_lines(layout, spot=False), *ending(layout)], scope_of(layout))


def _given(words: tuple[Any, ...]) -> list[Any]:
    return [word for word in words if word is not None and not isinstance(word, Omitted)]


def check_key(layout: TableLayout, name: str, given: list[Any]) -> None:
    """Raises TypingError for a call that cannot be."""
    if layout.flow is not None:
        raise TypingError(
            f"zcframe: {layout.name}.{name}(): a flow comes of its packet, f = state.{layout.name}.of(pkt)"
        )
    if len(given) != len(layout.keys):
        keys = ", ".join(layout.keys)
        raise TypingError(f"{layout.name}.{name}() takes the key ({keys}), {len(given)} values were given")
    for (field, _, kind), one in zip(layout.fields, given, strict=False):
        reason = takes(kind, one)
        if reason:
            raise TypingError(f"zcframe: {layout.name}.{name}(): {field} of the key is {kind.name}: {reason}")


def _searching(name: str, search: Search) -> Callable[..., Any]:
    """What numba asks about table.name(key) and table.name(spot)."""

    def typed(table: Any, words: tuple[Any, ...]) -> Any:
        if not isinstance(table, TableType):
            return None
        layout, given = table.layout, _given(words)
        if not table.writable:
            raise TypingError(
                f"prefetch cannot call {layout.name}.{name}(), nor can ahead: only {layout.name}.prefetch() and .spot()"
            )
        if len(given) == 1 and isinstance(given[0], SpotType):
            if given[0].layout != layout:
                raise TypingError(f"{layout.name}.{name}() was given a spot of another table, {given[0].layout.name}")
            return search(layout, spot=True)
        check_key(layout, name, given)
        return search(layout, spot=False)

    return typed


def _looking_ahead(name: str, ending: Ending) -> Callable[..., Any]:
    """What numba asks about table.name(key), which changes nothing, so that `ahead` and `prefetch` may call it."""

    def typed(table: Any, words: tuple[Any, ...]) -> Any:
        if not isinstance(table, TableType):
            return None
        check_key(table.layout, name, _given(words))
        return _look_ahead(table.layout, ending)

    return typed


def _verb(name: str, typed: Callable[..., Any]) -> None:
    """Register table.name(...) for calls with as many words as the table's key has fields."""
    words = ", ".join(f"k{i}" for i in range(MAX_KEYS))
    scope: dict[str, Any] = {"typed": typed, "__name__": __name__}
    exec(f"def {name}({SIGNATURE}):\n    return typed(table, ({words}))\n", scope)
    overload_method(TableType, name, jit_options=FORCE)(scope[name])


_verb("upsert", _searching("upsert", partial(_search, upsert_lines)))
_verb("find", _searching("find", partial(_search, find_lines)))
_verb("delete", _searching("delete", _delete))
_verb("spot", _looking_ahead("spot", _spot_lines))
_verb("prefetch", _looking_ahead("prefetch", _prefetch_lines))
