"""Outputs that write frames to interfaces: their names, what they must not write to, what becomes of their links."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final

from zcframe.framework.config import ANY
from zcframe.framework.jit.compiler import Job
from zcframe.framework.nic.link.netlink import Link, link_by_name
from zcframe.framework.nic.link.watch import LinkWatch
from zcframe.framework.outputs.output import Input, Output, OutputSpec, Streams

from .frames import entry_points

# IFNAMSIZ, less the byte at the end; no "%", which the kernel takes for a number that it shall choose.
LONGEST: Final = 15
ALLOWED: Final = re.compile(rf"(?!\.{{1,2}}$)[^\s/:%]{{1,{LONGEST}}}")
# What is said of changes, and of no others.
NEWS: Final = {
    "gone": "is gone",
    "down": "went down: frames for it are dropped until somebody brings it up again",
    "up": "is up again",
    "unlinked": "lost its link: frames for it are dropped until it is back",
    "linked": "has its link again",
}


class InterfaceOutput(Output):
    """Base of them. The supervisor opens a descriptor for each stream; streams of one interface are neighbours."""

    def __init__(self, spec: OutputSpec, streams: Streams, inputs: Sequence[Input], number: int) -> None:
        super().__init__(spec, streams, inputs, number)
        self._fds: list[int] = []
        self._indices: list[int] = []
        self._watches: list[LinkWatch] = []

    @property
    def jobs(self) -> tuple[Job, ...]:
        return entry_points()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the interfaces."""
        return tuple(dict.fromkeys(self.target_of(stream) for stream in range(self.streams.number)))

    def targets(self) -> tuple[str, ...]:
        return tuple(f"interface {name}" for name in self.names)

    def open(self) -> None:
        for name in self.names:
            self._check_name(name)
        for name in self.names:
            index = self.open_interface(name)
            self._indices.append(index)
            self._watches.append(LinkWatch(index))

    def open_interface(self, name: str) -> int:
        """Add the descriptors of an interface to `_fds`, and return its index. Raises UsageError, OutputError."""
        raise NotImplementedError

    def _check_name(self, name: str) -> None:
        """Raises UsageError where no interface can have this name, or where the capture reads all of them."""
        if not ALLOWED.fullmatch(name) or not name.isascii():
            raise self.refuse(f"{name} is no name of an interface: up to {LONGEST} letters, without space, /, : and %")
        if any(one.name == ANY for one in self.inputs):
            raise self.refuse(f"--iface {ANY} reads {name}, too: what is written there would come in again")

    def refuse_loop(self, link: Link) -> None:
        """Raises UsageError where the capture reads this interface, or the other end of its veth pair."""
        for name in {one.name for one in self.inputs}:
            read = link_by_name(name)
            if read is None:
                continue
            if read.index == link.index:
                raise self.refuse(f"the capture reads {name}: what is written to {link.name} would come in again")
            if link.kind == "veth" and not link.elsewhere and link.lower == read.index:
                raise self.refuse(f"the capture reads {name}, the other end of {link.name}: all would come in again")

    def news(self) -> Sequence[str]:
        changes = [(name, change.kind) for name, watch in self._named_watches() for change in watch.changes()]
        return [f"{self.prefix}{name} {NEWS[kind]}" for name, kind in changes if kind in NEWS]

    def _named_watches(self) -> list[tuple[str, LinkWatch]]:
        return list(zip(self.names, self._watches, strict=False))

    def let_go(self) -> None:
        for fd in self._fds:
            os.close(fd)
        for watch in self._watches:
            watch.close()
        self._fds, self._watches = [], []

    def close(self) -> None:
        self.let_go()
