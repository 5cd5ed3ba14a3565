"""A case, and a kind of cases that one run of the command tries together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Flow(NamedTuple):
    """A flow as it must be listed: who asked comes first; for ICMP the ports are type and counterpart, or type and code."""

    src: str
    sport: int
    dst: str
    dport: int
    proto: int
    packets: int = 1


@dataclass(frozen=True)
class Case:
    """Files, and what must come of them.

    flows: all flows of its hosts. ids: all Community IDs of these. adds: what it adds to numbers of the document, by dotted
    path. rows: members of rows in lists of the document, by dotted path. said: what stderr tells, a line each.
    """

    name: str
    what: str
    why: str
    files: Mapping[str, bytes]
    reported: tuple[str, ...] = ()
    flows: tuple[Flow, ...] = ()
    ids: frozenset[str] = frozenset()
    adds: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(host for flow in self.flows for host in (flow.src, flow.dst))


Files = Mapping[str, list[Path]]
"""The files of each case, by its name."""


@dataclass(frozen=True)
class Kind:
    """Cases of the same plugin and options.

    said: what stderr tells of all files together. reader: compares the document with what an independent reader finds in
    the files; raises AssertionError.
    """

    name: str
    cases: tuple[Case, ...]
    plugin: str
    reader: Callable[[Files, Mapping[str, Any]], None]
    options: tuple[str, ...] = ()
    code: int = 0
    said: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
