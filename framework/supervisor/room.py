"""Whether the plugins' state fits this machine's memory, asked before any of it is touched."""

from __future__ import annotations

from collections.abc import Sequence

import psutil

from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.errors import UsageError
from zcframe.framework.state.layout import Member, TableLayout
from zcframe.framework.stats import StatePlan

MIB, GIB = 1 << 20, 1 << 30


def state_plan(plugin: BoundPlugin, domains: int) -> StatePlan:
    """What a plugin's state takes. domains: interfaces that have shards of their own."""
    layout = plugin.layout
    times = 1 if layout.per_worker else domains
    rows = {table.name: table.capacity * times for table in layout.tables}
    lookups = {one.name: one.size for one in layout.lookups}
    return StatePlan(bytes=layout.most * times, shards=layout.shards * times, rows=rows, lookups=lookups)


def _most(member: Member, shards: int) -> int:
    """Bytes that a member may take in all these shards."""
    overflow = member.most_overflow(shards) if isinstance(member, TableLayout) else 0
    return member.size * shards + overflow


def size_text(octets: int) -> str:
    return f"{octets / GIB:,.1f} GiB" if octets >= GIB else f"{octets / MIB:,.1f} MiB"


def require_room(plugins: Sequence[BoundPlugin], domains: int) -> None:
    """Raises UsageError for the plugin with the largest state, where all of them do not fit free memory."""
    sizes = [state_plan(plugin, domains).bytes for plugin in plugins]
    free = psutil.virtual_memory().available
    if sum(sizes) <= free:
        return
    largest = max(range(len(plugins)), key=sizes.__getitem__)
    plugin = plugins[largest]
    shards = plugin.layout.shards
    member = max(plugin.layout.members, key=lambda member: _most(member, shards))
    per_shard = f"{size_text(_most(member, shards) // shards)} in each of {shards} shards"
    others = f", with that of the others {size_text(sum(sizes))}" if len(plugins) > 1 else ""
    raise UsageError(
        f"plugin {plugin.name}: its state takes {size_text(sizes[largest])}, {member.name} has {per_shard}{others}; "
        f"{size_text(free)} of memory are free: make {member.name} smaller"
    )
