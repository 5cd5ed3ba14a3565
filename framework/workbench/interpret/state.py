"""State as plain Python has it: in the memory and the layout of a run, with its journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zcframe.framework.state.compiled import allow_fields
from zcframe.framework.state.layout import ArrayLayout, Member, ObjectLayout, StateLayout, TableLayout
from zcframe.framework.state.lookup.image import Piece

from .fields import InterpretedArray
from .flows import FlowSearch, InterpretedFlows
from .lookups import interpreted
from .memory import Memory
from .objects import InterpretedObject
from .records import InterpretedRecords
from .table import InterpretedTable, Search


class InterpretedState:
    """The members of one shard by their names."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        self.__dict__.update(members)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"state.{name} is a member and cannot be set: set its items")


def _search(table: TableLayout) -> Search:
    return Search(table) if table.flow is None else FlowSearch(table)


class States:
    """Makes the state of a shard. records: by name, the same for all shards. piece: the memory of lookups."""

    def __init__(self, layout: StateLayout, piece: Piece | None = None) -> None:
        self._layout = layout
        allow_fields(layout)
        self._searches = {one.name: _search(one) for one in layout.members if isinstance(one, TableLayout)}
        self.records = {one.name: InterpretedRecords(one) for one in layout.records}
        self._lookups = {one.name: interpreted(one, piece) for one in layout.lookups} if piece is not None else {}

    def _member(self, member: Member, memory: Memory) -> Any:
        if isinstance(member, ArrayLayout):
            return InterpretedArray(member, memory)
        if isinstance(member, ObjectLayout):
            return InterpretedObject(member, member.name, memory)
        kind = InterpretedTable if member.flow is None else InterpretedFlows
        return kind(self._searches[member.name], memory)

    def of(self, memory: Memory) -> InterpretedState:
        members = {member.name: self._member(member, memory) for member in self._layout.members}
        return InterpretedState(members | self.records | self._lookups)
