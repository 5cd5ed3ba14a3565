"""The hash table's verbs, written out for each table's own key: find, upsert, prefetch.

Open addressing, linear probing within a window of WINDOW slots. No slot is ever freed: that of a row which has been
idle, or is done, may be taken over by another key, so that a search can end at the first free slot. A row is journaled
as a whole when it is handed out, so that its fields are then written plainly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.core.errors import TypingError
from numba.core.types.misc import Omitted
from numba.extending import overload_method

from zcframe.framework.jit.address import load_u32, load_u64, mul_high, prefetch_write, shift_right
from zcframe.framework.jit.compiler import FORCE

from .compiled import RowType, TableType, maker
from .declare import MAX_KEYS
from .journal import LOAD, NOW, PLAIN, STORE, WRITE, enter, remember, reserve
from .layout import TABLE_EXPIRED, TABLE_HEADER, TABLE_LOST, TABLE_ROWS, TABLE_SECRETS, WINDOW, TableLayout

# numba lowers no *args of a method, so that a key's words are arguments with a default.
HIGHEST = (1 << 63) - 1
SIGNATURE = "table, " + ", ".join(f"k{i}=None" for i in range(MAX_KEYS))


def _hash_lines(count: int) -> list[str]:
    """Source that leaves the hash of k0..kn in `h`.

    Pairs of words are multiplied and folded, each word with a secret of its own; their combination is multiplied by a
    secret. So the multiplications of a long key do not wait for each other, and nobody outside can aim at a slot.

    A word that is left over is multiplied by a secret first. Multiplied once, words that rise by steps, as the ports of
    a scan do, would fall at steps into the table: under one secret in a hundred, into few of its windows.
    """
    words = [f"k{i} ^ load_u64(base + {TABLE_SECRETS + 8 * i})" for i in range(count)]
    spare, last = (f"load_u64(base + {TABLE_SECRETS + 8 * i})" for i in (count, count + 1))
    if count % 2:
        words.append(spare)
    folds = [f"mul_high({a}, {b})" for a, b in zip(words[::2], words[1::2], strict=True)]
    if count % 2 == 0:
        folds.append(spare)
    return [f"h = mul_high({' ^ '.join(folds)}, {last})"]


def _search_lines(layout: TableLayout) -> list[str]:
    """Source of the common beginning: base, journal, key words, hash, tag, first slot."""
    lines = ["base = table._address", "journal = table._journal"]
    for i, (_, _, scalar) in enumerate(_keys(layout)):
        mask = "" if scalar.size == 8 else f" & {(1 << 8 * scalar.size) - 1}"
        lines.append(f"k{i} = int64(k{i}){mask}")
    return [*lines, *_hash_lines(len(layout.keys)), "tag = shift_right(h, 32) | 1", f"first = h & {layout.slots - 1}"]


def _keys(layout: TableLayout) -> Any:
    return layout.fields[: len(layout.keys)]


def _values(layout: TableLayout) -> int:
    """Offset of the value fields in a slot; the tag and the key before it never change while the row is there."""
    return min(offset for _, offset, _ in layout.fields[len(layout.keys) :])


def _remember_lines(layout: TableLayout) -> list[str]:
    """Source that journals the value fields of the row at `at`, each in its own width.

    One wide copy would have to wait until the narrow stores of the flow's last packet have left the store buffer.
    """
    start = _values(layout)
    copies, end = [], start
    for _, offset, scalar in layout.fields[len(layout.keys) :]:
        copies += [f"store1(entry + {gap - start}, 0)" for gap in range(end, offset)]
        copies.append(f"store{scalar.size}(entry + {offset - start}, load{scalar.size}(at + {offset}))")
        end = offset + scalar.size
    return [f"entry, head = reserve(journal, at + {start}, {end - start})", *copies, "enter(journal, head)"]


def _probe_lines(layout: TableLayout) -> list[str]:
    """Source of the loop over the window: returns the row of the key, leaves the loop at a free slot."""
    equal = " and ".join(f"load{s.size}(at + {offset}) == k{i}" for i, (_, offset, s) in enumerate(_keys(layout)))
    return [
        "free, taken = 0, 0",
        f"for probe in range({WINDOW}):",
        f"    at = base + {TABLE_HEADER} + ((first + probe) & {layout.slots - 1}) * {layout.slot_size}",
        "    found = load_u32(at)",
        "    if found == tag:",
        f"        if {equal}:",
        *[" " * 12 + line for line in _remember_lines(layout)],
        "            return make_row(at, 0)",
        "    if found == 0:",
        "        free = at",
        "        break",
    ]


def _take_over_lines(layout: TableLayout) -> list[str]:
    """Source that frees a slot of a full window, where a row of it may give up its own, and adds up what it held."""
    if not layout.gives_up:
        return []
    offsets = {name: offset for name, offset, _ in layout.fields}
    sizes = {name: scalar.size for name, _, scalar in layout.fields}
    rank, done = layout.least or layout.last, layout.done
    ready = [f"load{sizes[done]}(at + {offsets[done]}) != 0"] if done else []
    if layout.idle_ns:
        ready.append(f"load_u64(journal + {NOW}) - load_u64(at + {offsets[layout.last]}) > {layout.idle_ns}")
    sums = [(layout.sums_offset + offset, offset, scalar.size) for _, offset, scalar in layout.sums]
    return [
        "if free == 0:",
        f"    least = {HIGHEST}",
        f"    for probe in range({WINDOW}):",
        f"        at = base + {TABLE_HEADER} + ((first + probe) & {layout.slots - 1}) * {layout.slot_size}",
        f"        rank = load{sizes[rank]}(at + {offsets[rank]})",
        f"        if rank < least and ({' or '.join(ready)}):",
        "            free, taken, least = at, 1, rank",
        "    if taken:",
        f"        write8(journal, base + {TABLE_EXPIRED}, load_u64(base + {TABLE_EXPIRED}) + 1)",
        *[f"        write{s}(journal, base + {to}, load{s}(base + {to}) + load{s}(free + {at}))" for to, at, s in sums],
    ]


def _insert_lines(layout: TableLayout) -> list[str]:
    return [
        "if free == 0:",
        f"    write8(journal, base + {TABLE_LOST}, load_u64(base + {TABLE_LOST}) + 1)",
        "    return make_row(0, 0)",
        f"remember(journal, free, {layout.slot_size})",
        "release4(free, tag)",
        *[f"release{s.size}(free + {offset}, k{i})" for i, (_, offset, s) in enumerate(_keys(layout))],
        *[f"release{s.size}(free + {offset}, 0)" for _, offset, s in layout.fields[len(layout.keys) :]],
        "if taken == 0:",
        f"    write8(journal, base + {TABLE_ROWS}, load_u64(base + {TABLE_ROWS}) + 1)",
        "return make_row(free, 1)",
    ]


def _prefetch_lines(layout: TableLayout) -> list[str]:
    lines = [
        f"at = base + {TABLE_HEADER} + first * {layout.slot_size}",
        "prefetch_write(at)",
        f"prefetch_write(at + {layout.slot_size - 1})",
    ]
    return lines


def _written_out(name: str, layout: TableLayout, lines: list[str]) -> Callable[..., Any]:
    """The function table.name(k0, k1, ...) made of these lines, for this layout."""
    scope: dict[str, Any] = {
        "__name__": __name__,
        "int64": types.int64,
        "load_u32": load_u32,
        "load_u64": load_u64,
        "mul_high": mul_high,
        "shift_right": shift_right,
        "prefetch_write": prefetch_write,
        "remember": remember,
        "reserve": reserve,
        "enter": enter,
        "make_row": maker(RowType(layout, layout.name)),
        **{f"load{size}": load for size, load in LOAD.items()},
        **{f"write{size}": write for size, write in WRITE.items()},
        **{f"release{size}": store for size, store in STORE.items()},
        **{f"store{size}": store for size, store in PLAIN.items()},
    }
    text = f"def {name}({SIGNATURE}):\n" + "".join(f"    {line}\n" for line in lines)
    exec(text, scope)
    function: Callable[..., Any] = scope[name]
    return function


def _verb(name: str, ending: Callable[[TableLayout], list[str]]) -> None:
    """Register table.name(...) for calls with as many words as the table's key has fields."""

    def typed(table: Any, words: tuple[Any, ...]) -> Any:
        given = sum(word is not None and not isinstance(word, Omitted) for word in words)
        if not isinstance(table, TableType):
            return None
        if name != "prefetch" and not table.writable:
            raise TypingError(f"prefetch cannot call {table.layout.name}.{name}(): only {table.layout.name}.prefetch()")
        if given != len(table.layout.keys):
            keys = ", ".join(table.layout.keys)
            raise TypingError(f"{table.layout.name}.{name}() takes the key ({keys}), {given} values were given")
        return _written_out(name, table.layout, [*_search_lines(table.layout), *ending(table.layout)])

    words = ", ".join(f"k{i}" for i in range(MAX_KEYS))
    scope: dict[str, Any] = {"typed": typed, "__name__": __name__}
    exec(f"def {name}({SIGNATURE}):\n    return typed(table, ({words}))\n", scope)
    overload_method(TableType, name, jit_options=FORCE)(scope[name])


_verb("upsert", lambda layout: [*_probe_lines(layout), *_take_over_lines(layout), *_insert_lines(layout)])
_verb("find", lambda layout: [*_probe_lines(layout), "return make_row(0, 0)"])
_verb("prefetch", _prefetch_lines)
