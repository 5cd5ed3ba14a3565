"""`ring:NAME`: frames in shared memory, for programs of this machine that read them in place."""

from __future__ import annotations

import grp
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final

from zcframe.framework.jit.compiler import Job
from zcframe.framework.outputs.options import count
from zcframe.framework.outputs.output import Input, Output, OutputSpec, Streams
from zcframe.framework.outputs.ring.door import Door
from zcframe.framework.outputs.ring.memory import RingMemory, RingSink, entry_points
from zcframe.framework.outputs.ring.names import LONGEST, make_folder, own_folder, path_of
from zcframe.framework.outputs.sink import Sink
from zcframe.framework.ring import Undo
from zcframe.framework.stats.outputs import ReaderStats

SLOTS: Final = 8192
BLOCK: Final = 2048
MOST_SLOTS, MOST_BLOCK = 1 << 20, 32768
MODE: Final = 0o600


def _power(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high or int(text) & (int(text) - 1):
            raise ValueError(f"a power of two from {low} to {high} is needed")
        return int(text)

    return parse


def _mode(text: str) -> int:
    try:
        return int(text, 8) & 0o777
    except ValueError:
        raise ValueError("an octal mode is needed, such as 660") from None


def _group(text: str) -> int:
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ValueError("there is no such group") from None


class Ring(Output):
    """A ring for each stream, and a socket by which its readers come."""

    record = "ring"
    options: ClassVar[Mapping[str, Callable[[str], Any]]] = {
        "slots": _power(64, MOST_SLOTS),
        "block": _power(128, MOST_BLOCK),
        "readers": count,
        "mode": _mode,
        "group": _group,
    }

    def __init__(self, spec: OutputSpec, streams: Streams, inputs: Sequence[Input], number: int) -> None:
        super().__init__(spec, streams, inputs, number)
        self._rings: list[tuple[RingMemory, Door]] = []
        self._undo, self._owner = Undo(), os.getpid()

    @property
    def _block(self) -> int:
        return int(self.spec.options.get("block", BLOCK))

    @property
    def snaplen(self) -> int:
        return min(super().snaplen, self._block)

    @property
    def jobs(self) -> tuple[Job, ...]:
        return entry_points()

    def target_of(self, stream: int) -> str:
        return path_of(super().target_of(stream))

    def open(self) -> None:
        chosen = self.spec.options
        for path in self.targets():
            if len(path.encode()) > LONGEST:
                raise self.refuse(f"{path} is too long for a socket: {LONGEST} bytes at most")
            make_folder(path)
            name = Path(path).stem
            memory = self._undo.closing(RingMemory(name, chosen.get("slots", SLOTS), self._block))
            door = self._undo.closing(Door(path, memory, chosen.get("mode", MODE), chosen.get("group", -1)))
            self._rings.append((memory, door))

    def sink(self, stream: int) -> Sink:
        return RingSink(self._rings[stream][0])

    def absent(self) -> Sequence[str]:
        wanted = self.spec.options.get("readers", 0)
        return [door.path for _, door in self._rings if len(door.present) < wanted]

    def doors(self) -> Sequence[Door]:
        return [door for _, door in self._rings]

    def readers(self, stream: int) -> Sequence[ReaderStats]:
        return self._rings[stream][1].stats() if self._rings else ()

    def end(self) -> None:
        for memory, _ in self._rings:
            memory.end()

    def let_go(self) -> None:
        if os.getpid() == self._owner:
            return  # its readers go on until `close`
        for memory, door in self._rings:
            door.let_go()
            memory.close()
        self._rings = []
        self._undo.pop_all()

    def close(self) -> None:
        self._undo.close()
        self._rings = []
        with suppress(OSError):
            own_folder().rmdir()
