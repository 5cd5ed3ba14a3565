"""How a key is searched in a hash table, as source text for each table's own key and layout.

Open addressing, linear probing within a window of WINDOW slots. A search ends at the first free slot: that of a row
which has been idle, or is done, may be taken over by another key, and that of a deleted row is marked as gone where
others may lie behind it. A key whose window has no free slot is in the overflow (overflow/lines.py), or nowhere.

A row is journaled when it is handed out, so that its fields are then written plainly; but for those apart, which are
journaled as they are written.

Most keys are in the slot that their hash says: that look is inlined. What comes after it is a function of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from numba.core import types

from .journal import NOW, SECRETS
from .keys import key_fields, words_of_key
from .kinds import Kind, Octets, Scalar
from .layout import GONE, TABLE_EXPIRED, TABLE_HEADER, TABLE_LOST, TABLE_PART, TABLE_ROWS, WINDOW, TableLayout
from .overflow import lines as overflow
from .values import compiled_type

# Bytes of a row that are copied without a call.
MOST_UNROLLED = 256
# Above any rank.
HIGHEST = (1 << 63) - 1


def hash_lines(hashed: Sequence[str]) -> list[str]:
    """Source that leaves the hash of these words in `h`.

    Pairs of words are multiplied and folded, each word with a secret of its own; their combination is multiplied by a
    secret. So the multiplications of a long key do not wait for each other, and nobody outside can aim at a slot.

    A word that is left over is multiplied by a secret first. Multiplied once, words that rise by steps, as the ports of
    a scan do, would fall at steps into the table: under one secret in a hundred, into few of its windows.
    """
    count = len(hashed)
    secrets = [f"journal_load_u64(journal + {SECRETS + 8 * i})" for i in range(count + 2)]
    words = [f"{word} ^ {secret}" for word, secret in zip(hashed, secrets, strict=False)]
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
        return [*lines, f"at, h, {', '.join(words_of_key(layout))} = spot_words(k0)"]
    fields = key_fields(layout)
    lines += [line for field in fields for line in field.given()]
    return [*lines, *hash_lines([word for field in fields for word in field.hashed()])]


def _first_lines(layout: TableLayout) -> list[str]:
    """Source of what the hash says: the tag, and the slot to look at first."""
    return ["tag = shift_right(h, 32) | 1", f"first = h & {layout.slots - 1}"]


def _equal(layout: TableLayout) -> str:
    """Source text: whether the row at `at` has the key."""
    return " and ".join(field.equal() for field in key_fields(layout))


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
        return _hit_lines(layout, "load4(at) & 1 != 0" if layout.deletes else "load4(at) != 0")
    where = f"at = base + {TABLE_HEADER} + (h & {layout.slots - 1}) * {layout.slot_size}"
    return [where, *_hit_lines(layout, "load4(at) == shift_right(h, 32) | 1")]


def _row_size(layout: TableLayout, *, whole: bool) -> int:
    """Bytes of a slot in use, in whole words; whole: with the fields apart and large objects, which come last."""
    ends = [
        offset + kind.size for name, offset, kind in layout.fields if whole or (name, offset, kind) not in layout.apart
    ]
    ends += [one.offset + one.size for one in layout.objects if whole or not one.large]
    return -(-max(ends) // 8) * 8


def _remember_lines(layout: TableLayout) -> list[str]:
    """Source that journals the values of the row at `at` but those apart and large, in as few copies as possible.

    The tag and the key before them never change while the row is there.
    """
    starts = [offset for _, offset, kind in layout.values if not kind.apart]
    starts += [one.offset for one in layout.objects if not one.large]
    if not starts:
        return []
    start = min(starts) & ~7
    size = _row_size(layout, whole=False) - start
    return [
        f"entry, used = reserve(journal, at + {start}, {size})",
        f"keep(entry, at + {start}, {size})",
        "enter(journal, used)",
    ]


def _probe_lines(layout: TableLayout) -> list[str]:
    """Source of the loop over the window: returns the row of the key, leaves the loop at a free slot."""
    return [
        "free = 0",
        f"for probe in range({WINDOW}):",
        f"    at = base + {TABLE_HEADER} + ((first + probe) & {layout.slots - 1}) * {layout.slot_size}",
        "    found = load4(at)",
        "    if found == tag:",
        f"        if {_equal(layout)}:",
        *[" " * 12 + line for line in _remember_lines(layout)],
        "            return at, 0",
        *["    " + line for line in _free_lines(layout)],
    ]


def _free_lines(layout: TableLayout) -> list[str]:
    """Source that leaves the loop at a free slot, and remembers it, or one before it whose row was deleted."""
    if not layout.deletes:
        return ["if found == 0:", "    free = at", "    break"]
    return ["if found & 1 == 0:", "    if free == 0:", "        free = at", "    if found == 0:", "        break"]


def _beyond_lines(layout: TableLayout) -> list[str]:
    """Source that returns the row of a key in the overflow; `gone` is then what is free there."""
    return [
        f"at, gone, link = beyond(base, journal, h, {', '.join(words_of_key(layout))})",
        "if at != 0:",
        *["    " + line for line in _remember_lines(layout)],
        "    return at, 0",
    ]


def beyond_lines(layout: TableLayout) -> list[str]:
    """Source that searches the overflow, see `overflow.search_lines`."""
    return overflow.search_lines(layout, _equal(layout))


def _take_over_lines(layout: TableLayout) -> list[str]:
    """Source that frees a slot of a full window, or of the branch behind it, where a row may give up its own.

    What that row held is added up.
    """
    if not layout.gives_up:
        return []
    offsets = {name: offset for name, offset, _ in layout.fields}
    sizes = {name: kind.size for name, _, kind in layout.fields}
    rank, done = layout.least or layout.last, layout.done
    ready = [f"load{sizes[done]}(at + {offsets[done]}) != 0"] if done else []
    if layout.idle_ns:
        ready.append(f"journal_load_u64(journal + {NOW}) - load8(at + {offsets[layout.last]}) > {layout.idle_ns}")
    sums = [add_line(layout.sums_offset + offset, offset, kind) for _, offset, kind in layout.sums]
    weaker = [
        f"rank = load{sizes[rank]}(at + {offsets[rank]})",
        f"if rank < least and ({' or '.join(ready)}):",
        "    free, taken, least = at, 1, rank",
    ]
    return [
        "if free == 0:",
        f"    least = {HIGHEST}",
        f"    for probe in range({WINDOW}):",
        f"        at = base + {TABLE_HEADER} + ((first + probe) & {layout.slots - 1}) * {layout.slot_size}",
        *["        " + line for line in weaker],
        *["    " + line for line in overflow.branch_lines(layout, weaker)],
        "    if taken:",
        f"        write8(journal, base + {TABLE_EXPIRED}, load8(base + {TABLE_EXPIRED}) + 1)",
        *["        " + line for line in sums],
    ]


def add_line(to: int, at: int, kind: Kind) -> str:
    """Source that adds a number of the row at `free` to the one at `to` of the table."""
    size, old, more = kind.size, f"load{kind.size}(base + {to})", f"load{kind.size}(free + {at})"
    total = f"{old} + {more}" if compiled_type(kind) == types.int64 else f"add_floats({old}, {more})"
    return f"write{size}(journal, base + {to}, {total})"


def _whole_lines(layout: TableLayout, place: str) -> list[str]:
    """Source that journals all of the row at `place`, whose key changes."""
    size = _row_size(layout, whole=True)
    copying = "copy_bytes" if size > MOST_UNROLLED else "keep"
    return [
        f"entry, used = reserve(journal, {place}, {size})",
        f"{copying}(entry, {place}, {size})",
        "enter(journal, used)",
    ]


def _zero_line(offset: int, kind: Kind) -> str:
    """Source that makes a value of the new row at `free` 0, or empty."""
    if isinstance(kind, Octets):
        return f"store2(free + {offset}, 0)"
    if isinstance(kind, Scalar):
        return f"store{kind.size}(free + {offset}, 0)"
    return f"clear_bytes(free + {offset}, {kind.size})"


def _store_lines(layout: TableLayout) -> list[str]:
    """Source that makes the slot `free` a row of the key, with nothing in it."""
    return [
        "store4(free, tag)",
        *[line for field in key_fields(layout) for line in field.stored()],
        *[_zero_line(offset, kind) for _, offset, kind in layout.values if not kind.blank],
        *[f"clear_bytes(free + {one.offset}, {one.size})" for one in layout.objects],
    ]


def _insert_lines(layout: TableLayout) -> list[str]:
    # A free slot is free again when its tag is: whatever else stands there means nothing.
    return ["write4(journal, free, 0)", *_store_lines(layout)]


def _count_lines() -> list[str]:
    return [f"write8(journal, base + {TABLE_ROWS}, load8(base + {TABLE_ROWS}) + 1)", "return free, 1"]


def upsert_lines(layout: TableLayout) -> list[str]:
    """Source that returns (slot, whether the row is new) for a key not in its first slot; slot 0: no room."""
    return [
        *_first_lines(layout),
        *_probe_lines(layout),
        "if seldom(found != 0):",
        f"    return full(base, journal, h, free, {', '.join(words_of_key(layout))})",
        *_insert_lines(layout),
        *_count_lines(),
    ]


def full_lines(layout: TableLayout) -> list[str]:
    """Source that returns the same for a key whose window has no free slot. `free`: one of a deleted row, or 0."""
    return [
        *_first_lines(layout),
        "taken = 0",
        *_beyond_lines(layout),
        *(["if free == 0:", "    free = gone"] if layout.deletes else []),
        *_take_over_lines(layout),
        "if free == 0:",
        "    free = grow(base, journal, h, link)",
        "if free == 0:",
        f"    write8(journal, base + {TABLE_LOST}, load8(base + {TABLE_LOST}) + 1)",
        "    return 0, 0",
        "if taken:",
        *["    " + line for line in _whole_lines(layout, "free")],
        *["    " + line for line in _store_lines(layout)],
        "    return free, 1",
        *_insert_lines(layout),
        *_count_lines(),
    ]


def find_lines(layout: TableLayout) -> list[str]:
    """Source that returns (slot, 0) of a key, or (0, 0)."""
    beyond = ["    " + line for line in _beyond_lines(layout)]
    return [*_first_lines(layout), *_probe_lines(layout), "if seldom(found != 0):", *beyond, "return 0, 0"]


def delete_lines(layout: TableLayout) -> list[str]:
    """Source that returns whether there was a row of the key, and there is none now.

    The slot is free where the one behind it is: no search goes on from it to a row; but for one to the overflow.
    """
    gone = f"load4({{}}) == 0 and load8(base + {TABLE_PART}) == 0"
    rows = f"write8(journal, base + {TABLE_ROWS}, load8(base + {TABLE_ROWS}) - 1)"
    slot = f"base + {TABLE_HEADER} + ((first + probe + {{}}) & {layout.slots - 1}) * {layout.slot_size}"
    return [
        *_first_lines(layout),
        f"for probe in range({WINDOW}):",
        f"    at = {slot.format(0)}",
        "    found = load4(at)",
        "    if found == 0:",
        "        return False",
        f"    if found == tag and {_equal(layout)}:",
        *["        " + line for line in _whole_lines(layout, "at")],
        f"        store4(at, 0 if {gone.format(slot.format(1))} else {GONE})",
        f"        {rows}",
        "        return True",
        f"at, _, _ = beyond(base, journal, h, {', '.join(words_of_key(layout))})",
        "if at == 0:",
        "    return False",
        *_whole_lines(layout, "at"),
        f"store4(at, {GONE})",
        rows,
        "prune(base, journal, h)",
        "return True",
    ]
