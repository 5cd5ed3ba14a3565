"""How a key whose window is full is searched in the overflow, as source text for each table's own key and layout.

A shard's rows there are nodes of digital search trees (Knuth, The Art of Computer Programming 3, 6.3): a slot has some
first nodes of its own, and below each node the next bits of the key's hash say which branch the key is in. A new row is
a new node at the end of its branch. Nodes lie one behind the other in the order in which they came, so that they take
the memory of their rows; they never move, so that a row that a plugin has stays where it is. Under a secret hash a
branch is a few nodes long. A node whose row was deleted stays while rows are behind it, and is taken by the next new
key that comes by; without, it leaves its tree, and is free for any key of the shard.
"""

from __future__ import annotations

from zcframe.framework.state.layout import LINKS, TABLE_FREE, TABLE_NODES, TABLE_PART, TableLayout

BITS = (LINKS - 1).bit_length()


def _first_link_lines(layout: TableLayout) -> list[str]:
    """Source of where the number of the first node stands, and how far the hash is shifted for its branches."""
    return [
        f"link, shift = part + 4 * (h & {layout.roots - 1}), {layout.roots.bit_length() - 1}",
        "number = load4(link)",
    ]


def _node_line(layout: TableLayout) -> str:
    return f"at = part + {layout.nodes_offset - layout.node_size} + number * {layout.node_size}"


def _next_lines(layout: TableLayout) -> list[str]:
    # Bits that are used again, after 64 of them, are as good for keys of the same hash as others.
    return [
        f"link = at + {layout.slot_size} + 4 * (shift_right(h, shift & 63) & {LINKS - 1})",
        f"number, shift = load4(link), shift + {BITS}",
    ]


def search_lines(layout: TableLayout, equal: str) -> list[str]:
    """Source that returns (row of the key or 0, first free node on its branch or 0, where the branch ends)."""
    free = ["    if free == 0 and load4(at) & 1 == 0:", "        free = at"] if layout.deletes else []
    return [
        f"part, tag, free = load8(base + {TABLE_PART}), shift_right(h, 32) | 1, 0",
        "if part == 0:",
        "    return 0, 0, 0",
        *_first_link_lines(layout),
        "while number != 0:",
        "    " + _node_line(layout),
        f"    if load4(at) == tag and {equal}:",
        "        return at, 0, 0",
        *free,
        *["    " + line for line in _next_lines(layout)],
        "return 0, free, link",
    ]


def branch_lines(layout: TableLayout, each: list[str]) -> list[str]:
    """Source that does something with every node at `at` of the key's branch."""
    return [
        f"part = load8(base + {TABLE_PART})",
        "if part != 0:",
        *["    " + line for line in _first_link_lines(layout)],
        "    while number != 0:",
        "        " + _node_line(layout),
        *["        " + line for line in each],
        *["        " + line for line in _next_lines(layout)],
    ]


def _reuse_lines(layout: TableLayout) -> list[str]:
    """Source that returns a node that has left its tree, as the end of a branch."""
    if not layout.deletes:
        return []
    return [
        f"number = load8(base + {TABLE_FREE})",
        "if number != 0:",
        f"    part = load8(base + {TABLE_PART})",
        "    " + _node_line(layout),
        f"    write8(journal, base + {TABLE_FREE}, load4(at + {layout.slot_size}))",
        *[f"    write4(journal, at + {layout.slot_size + 4 * i}, 0)" for i in range(LINKS)],
        "    write4(journal, link, number)",
        "    return at",
    ]


def prune_lines(layout: TableLayout) -> list[str]:
    """Source that frees the nodes at the end of a branch that have no rows, and none behind them."""
    links = [f"load4(at + {layout.slot_size + 4 * i})" for i in range(LINKS)]
    return [
        f"part, cut, first, rest = load8(base + {TABLE_PART}), 0, 0, 0",
        *_first_link_lines(layout),
        "while number != 0:",
        f"    {_node_line(layout)}",
        "    place, one, links = link, number, " + " + ".join(links),
        *["    " + line for line in _next_lines(layout)],
        "    if load4(at) & 1 != 0 or links != number:",
        "        cut = 0",
        "    elif cut == 0:",
        "        cut, first, rest = place, one, shift",
        "if cut == 0:",
        "    return",
        "write4(journal, cut, 0)",
        f"number, shift = first, rest - {BITS}",
        "while number != 0:",
        f"    {_node_line(layout)}",
        "    one = number",
        *["    " + line for line in _next_lines(layout)],
        "    write4(journal, link, 0)",
        f"    write4(journal, at + {layout.slot_size}, load8(base + {TABLE_FREE}))",
        f"    write8(journal, base + {TABLE_FREE}, one)",
    ]


def grow_lines(layout: TableLayout) -> list[str]:
    """Source that returns a new node, which is free, at the end `link` of a branch; 0 where there is no room.

    Whatever stands in a node means nothing before the table's header counts it. Without a part, `link` is 0.
    """
    return [
        *_reuse_lines(layout),
        f"nodes = load8(base + {TABLE_NODES})",
        f"if nodes & {layout.claim - 1} == 0:",
        f"    part = claim(journal, base, nodes, {layout.claim})",
        "    if part == 0:",
        "        return 0",
        f"    write8(journal, base + {TABLE_PART}, part)",
        f"part = load8(base + {TABLE_PART})",
        "if link == 0:",
        f"    link = part + 4 * (h & {layout.roots - 1})",
        f"at = part + {layout.nodes_offset} + nodes * {layout.node_size}",
        f"clear_bytes(at + {layout.slot_size}, {4 * LINKS})",
        "store4(at, 0)",
        f"write8(journal, base + {TABLE_NODES}, nodes + 1)",
        "write4(journal, link, nodes + 1)",
        "return at",
    ]
