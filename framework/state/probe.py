"""How a key is searched in a hash table, as source text for each table's own key and layout.

Open addressing, linear probing within a window of WINDOW slots. No slot is ever freed: that of a row which has been
idle, or is done, may be taken over by another key, so that a search can end at the first free slot. A row is journaled
as a whole when it is handed out, so that its fields are then written plainly.

Most keys are in the slot that their hash says: that look is inlined. What comes after it is a function of its own.
"""

from __future__ import annotations

from typing import Any

from .journal import NOW, SECRETS
from .layout import TABLE_EXPIRED, TABLE_HEADER, TABLE_LOST, TABLE_ROWS, WINDOW, TableLayout

# Above any rank.
HIGHEST = (1 << 63) - 1


def hash_lines(count: int) -> list[str]:
    """Source that leaves the hash of k0..kn in `h`.

    Pairs of words are multiplied and folded, each word with a secret of its own; their combination is multiplied by a
    secret. So the multiplications of a long key do not wait for each other, and nobody outside can aim at a slot.

    A word that is left over is multiplied by a secret first. Multiplied once, words that rise by steps, as the ports of
    a scan do, would fall at steps into the table: under one secret in a hundred, into few of its windows.
    """
    secrets = [f"journal_load_u64(journal + {SECRETS + 8 * i})" for i in range(count + 2)]
    words = [f"k{i} ^ {secrets[i]}" for i in range(count)]
    spare, last = secrets[count:]
    if count % 2:
        words.append(spare)
    folds = [f"mul_high({a}, {b})" for a, b in zip(words[::2], words[1::2], strict=True)]
    if count % 2 == 0:
        folds.append(spare)
    return [f"h = mul_high({' ^ '.join(folds)}, {last})"]


def begin_lines(layout: TableLayout, *, spot: bool) -> list[str]:
    """Source of the common beginning: base, journal, key words, hash. spot: they are those of the spot `k0`."""
    lines = ["base = table._address", "journal = table._journal"]
    if spot:
        return [*lines, f"at, h, {', '.join(f'k{i}' for i in range(len(layout.keys)))} = spot_words(k0)"]
    for i, (_, _, scalar) in enumerate(keys(layout)):
        mask = "" if scalar.size == 8 else f" & {(1 << 8 * scalar.size) - 1}"
        lines.append(f"k{i} = int64(k{i}){mask}")
    return [*lines, *hash_lines(len(layout.keys))]


def _first_lines(layout: TableLayout) -> list[str]:
    """Source of what the hash says: the tag, and the slot to look at first."""
    return ["tag = shift_right(h, 32) | 1", f"first = h & {layout.slots - 1}"]


def _equal(layout: TableLayout) -> str:
    """Source text: whether the row at `at` has the key."""
    return " and ".join(f"load{s.size}(at + {offset}) == k{i}" for i, (_, offset, s) in enumerate(keys(layout)))


def _hit_lines(layout: TableLayout, there: str) -> list[str]:
    """Source that returns the row of the slot at `at` where it has the key. there: whether it has a row, as text."""
    return [
        f"if {there} and {_equal(layout)}:",
        "    known(at != 0)",
        *["    " + line for line in _remember_lines(layout)],
        "    return make_row(at, 0, journal)",
    ]


def first_look_lines(layout: TableLayout, *, spot: bool) -> list[str]:
    """Source that looks at the key's first slot, where most rows are.

    A spot says which slot that is. An insert that was undone leaves its key behind in a slot without tag.
    """
    if spot:
        return _hit_lines(layout, "load4(at) != 0")
    where = f"at = base + {TABLE_HEADER} + (h & {layout.slots - 1}) * {layout.slot_size}"
    return [where, *_hit_lines(layout, "load4(at) == shift_right(h, 32) | 1")]


def keys(layout: TableLayout) -> Any:
    return layout.fields[: len(layout.keys)]


def _row_size(layout: TableLayout) -> int:
    """Bytes of a slot in use that are journaled as one, in whole words: all but large objects, which come last."""
    ends = [offset + scalar.size for _, offset, scalar in layout.fields]
    ends += [one.offset + one.size for one in layout.objects if not one.large]
    return -(-max(ends) // 8) * 8


def _values(layout: TableLayout) -> int:
    """Offset of the value fields in a slot; the tag and the key before it never change while the row is there."""
    starts = [offset for _, offset, _ in layout.fields[len(layout.keys) :]]
    starts += [one.offset for one in layout.objects if not one.large]
    return min(starts, default=_row_size(layout))


def _remember_lines(layout: TableLayout) -> list[str]:
    """Source that journals the value fields of the row at `at`, in as few copies as possible."""
    start = _values(layout) & ~7
    size = _row_size(layout) - start
    if size == 0:
        return []
    return [
        f"entry, used = reserve(journal, at + {start}, {size})",
        f"keep(entry, at + {start}, {size})",
        "enter(journal, used)",
    ]


def _probe_lines(layout: TableLayout) -> list[str]:
    """Source of the loop over the window: returns the row of the key, leaves the loop at a free slot."""
    return [
        "free, taken = 0, 0",
        f"for probe in range({WINDOW}):",
        f"    at = base + {TABLE_HEADER} + ((first + probe) & {layout.slots - 1}) * {layout.slot_size}",
        "    found = load4(at)",
        "    if found == tag:",
        f"        if {_equal(layout)}:",
        *[" " * 12 + line for line in _remember_lines(layout)],
        "            return at, 0",
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
        ready.append(f"journal_load_u64(journal + {NOW}) - load8(at + {offsets[layout.last]}) > {layout.idle_ns}")
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
        f"        write8(journal, base + {TABLE_EXPIRED}, load8(base + {TABLE_EXPIRED}) + 1)",
        *[f"        write{s}(journal, base + {to}, load{s}(base + {to}) + load{s}(free + {at}))" for to, at, s in sums],
    ]


def _whole_lines(layout: TableLayout) -> list[str]:
    """Source that journals the row at `free`, which another one takes the place of."""
    if not any(one.large for one in layout.objects):
        size, copying = _row_size(layout), "keep"
    else:
        size, copying = layout.slot_size, "copy_bytes"
    return [f"entry, used = reserve(journal, free, {size})", f"{copying}(entry, free, {size})", "enter(journal, used)"]


def _insert_lines(layout: TableLayout) -> list[str]:
    return [
        "if free == 0:",
        f"    write8(journal, base + {TABLE_LOST}, load8(base + {TABLE_LOST}) + 1)",
        "    return 0, 0",
        # A free slot is free again when its tag is: whatever else stands there means nothing.
        "if taken:",
        *["    " + line for line in _whole_lines(layout)],
        "else:",
        "    write4(journal, free, 0)",
        "store4(free, tag)",
        *[f"store{s.size}(free + {offset}, k{i})" for i, (_, offset, s) in enumerate(keys(layout))],
        *[f"store{s.size}(free + {offset}, 0)" for _, offset, s in layout.fields[len(layout.keys) :]],
        *[f"clear_bytes(free + {one.offset}, {one.size})" for one in layout.objects],
        "if taken == 0:",
        f"    write8(journal, base + {TABLE_ROWS}, load8(base + {TABLE_ROWS}) + 1)",
        "return free, 1",
    ]


def upsert_lines(layout: TableLayout) -> list[str]:
    """Source that returns (slot, whether the row is new) for a key not in its first slot; slot 0: no room."""
    return [*_first_lines(layout), *_probe_lines(layout), *_take_over_lines(layout), *_insert_lines(layout)]


def find_lines(layout: TableLayout) -> list[str]:
    """Source that returns (slot, 0) of a key, or (0, 0)."""
    return [*_first_lines(layout), *_probe_lines(layout), "return 0, 0"]
