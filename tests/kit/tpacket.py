"""The kernel's side of a TPACKET_V3 ring, as packet_mmap.rst has it, in plain memory: fills blocks, hands them over."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.jit.words import words_of
from zcframe.framework.packet.decode import MAX_LENGTH
from zcframe.framework.ring import Mapping, PulledRing, Puller, RingEnd, make_memory
from zcframe.framework.rss import SYMMETRIC_KEY
from zcframe.framework.rss.fields import field_mask
from zcframe.framework.rss.toeplitz import toeplitz_tables
from zcframe.framework.sources.packet.pull import CTX, PullContext, notes_size, pull_for

BLOCK = struct.Struct("=IIIIIIQIIII")  # struct tpacket_block_desc
FRAME = struct.Struct("=IIIIIIHHIIHH8x")  # struct tpacket3_hdr
ADDRESS = struct.Struct("=HHiHBB8s")  # struct sockaddr_ll
NETWORK, STRIDE = 96, 160
ETHERNET_HEADER = 14
# Hardware types of interfaces: with an Ethernet header, with none (tun), and with one of 8 bytes of another kind.
ETHERNET, NONE, TUNNEL6 = 1, 0xFFFE, 769
OTHER_HEADER = 8
MAC = b"\x02\x00\x00\x00\x00\x07"
KERNEL, USER = 0, 1


class Kernel:
    """Fills `count` blocks of `size` bytes with frames that tell their number: `frame_of(number)`.

    mixed: whether the frames are of three kinds of interfaces in turn, two of which bring no Ethernet header.
    """

    def __init__(self, memory: np.ndarray[Any, Any], size: int, count: int, mixed: bool = False) -> None:
        self._memory, self._size, self._count, self._mixed = memory, size, count, mixed
        self.sequence, self.frames, self.number = 0, 0, 0
        self.open = False

    @staticmethod
    def frame_of(number: int) -> bytes:
        header = struct.pack("!BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, 17, 0, 0x0A000000 + number, 0x0A0000FF)
        return (
            b"\x02" * 12 + b"\x08\x00" + header + struct.pack("!HHHHQ", number & 0xFFFF, 53, 26, 0, number) + b"\0" * 10
        )

    def kind_of(self, number: int) -> int:
        return (ETHERNET, NONE, TUNNEL6)[number % 3] if self._mixed else ETHERNET

    def seen_as(self, number: int) -> bytes:
        """The frame as plugins are to see it."""
        packet = self.frame_of(number)[ETHERNET_HEADER:]
        if self.kind_of(number) == ETHERNET:
            return self.frame_of(number)
        source = MAC if self.kind_of(number) == TUNNEL6 else bytes(6)
        return bytes(6) + source + b"\x08\x00" + packet

    def wire_of(self, number: int) -> int:
        return len(self.frame_of(number)) - (0 if self.kind_of(number) == ETHERNET else ETHERNET_HEADER)

    def _recorded(self, number: int) -> tuple[int, int, bytes]:
        """(hardware type, offset of the first header, bytes from there on) of a frame."""
        kind, frame = self.kind_of(number), self.frame_of(number)
        if kind == ETHERNET:
            return kind, NETWORK - ETHERNET_HEADER, frame
        if kind == NONE:
            return kind, NETWORK, frame[ETHERNET_HEADER:]
        return kind, NETWORK - OTHER_HEADER, b"\xee" * OTHER_HEADER + frame[ETHERNET_HEADER:]

    def _at(self) -> int:
        return (self.sequence - 1) % self._count * self._size

    def _write(self, at: int, data: bytes) -> None:
        self._memory[at : at + len(data)] = np.frombuffer(data, np.uint8)

    def _write_block(self, status: int) -> None:
        block = BLOCK.pack(1, 48, KERNEL, self.frames, 48, 0, self.sequence, 0, 0, 0, 0)
        self._write(self._at(), block)
        # The status comes last.
        self._write(self._at() + 8, struct.pack("=I", status))

    def _status(self, sequence: int) -> int:
        at = (sequence - 1) % self._count * self._size + 8
        return int(self._memory[at : at + 4].view("u4")[0])

    def put(self) -> bool:
        """The next frame; False where all blocks are the worker's."""
        if self.open and (self.frames + 1) * STRIDE + BLOCK.size > self._size:
            self.hand_over()
        if not self.open:
            if self._status(self.sequence + 1) != KERNEL:
                return False
            self.sequence, self.frames, self.open = self.sequence + 1, 0, True
            self._write_block(KERNEL)
        at = self._at() + BLOCK.size + self.frames * STRIDE
        kind, first, data = self._recorded(self.number)
        header = FRAME.pack(STRIDE, 5, self.number, len(data), len(data), 0, first, NETWORK, 0, 0, 0, 0)
        header += ADDRESS.pack(17, 0x0008, 1, kind, 0, 6 if kind == TUNNEL6 else 0, MAC + bytes(2))
        self._write(at, header + b"\xdd" * (first - len(header)) + data)
        self.frames, self.number = self.frames + 1, self.number + 1
        return True

    def hand_over(self) -> None:
        """As when the timer goes off."""
        if self.open:
            self._write_block(USER)
            self.open = False

    def keep(self) -> tuple[int, int, int, bool]:
        return self.sequence, self.frames, self.number, self.open

    def put_back(self, kept: tuple[int, int, int, bool]) -> None:
        self.sequence, self.frames, self.number, self.open = kept


class Bench(PulledRing):
    """A pulled ring whose blocks that kernel fills, and a consumer that checks what it is given."""

    def __init__(self, slots: int = 64, size: int = 2048, count: int = 8, *, mixed: bool = False) -> None:
        super().__init__(0, slots, "test0", domain=0, longest=MAX_LENGTH, notes=notes_size(count))
        self._blocks_fd = self._undo.fd(make_memory("blocks", size * count))
        self.blocks = Mapping(self._blocks_fd, size * count, writable=True)
        self.noted = self.notes()
        self.tables = toeplitz_tables(SYMMETRIC_KEY)
        self.kernel = Kernel(self.blocks.view("u1", 0, size * count), size, count, mixed)
        self._mixed, self._size, self._count = mixed, size, count
        self.consumer_end: RingEnd = self.end(self.blocks, self.wake_fd, self._puller)
        ring = self.consumer_end._mappings[0]
        self.descriptors = ring.view(abi.DESC, abi.PAGE_SIZE, slots)
        self.areas = [m.view("u1", 0, m.size) for m in (*self.consumer_end._mappings, self.noted)]

    def _puller(self, end: RingEnd) -> Puller:
        context = PullContext(
            header=end.header_address,
            descriptors=end.desc_address,
            user=end.user_address,
            slots=self.slots,
            notes=self.noted.address,
            blocks=self.blocks.address,
            block_size=self._size,
            block_count=self._count,
            longest=MAX_LENGTH,
            tables=self.tables.ctypes.data,
            fields=field_mask("5-tuple"),
            hashes=1,
            port=0,
        )
        return Puller(pull_for(self._mixed), words_of(context), CTX.hashes, self)

    @property
    def read(self) -> int:
        return int(self.consumer_end.user["read"][0])

    @property
    def write(self) -> int:
        return int(self.consumer_end.header["write"][0])

    def pull(self) -> int:
        assert self.consumer_end.pull is not None
        return self.consumer_end.pull()

    def take(self, frames: int) -> list[int]:
        """Take so many frames, at most those that are there; returns the numbers that they bear, checked."""
        first = self.read
        numbers = [self._number(first + i) for i in range(min(frames, self.write - first))]
        self.consumer_end.user["read"][0] = first + len(numbers)
        return numbers

    def _number(self, packet: int) -> int:
        row = self.descriptors[packet % self.slots]
        at = int(row["offset"])
        frame = self.areas[2][at : at + int(row["len"])].tobytes()
        number = int(row["timestamp"]) - 5 * 10**9
        assert frame == self.kernel.seen_as(number)
        assert row["wire_len"] == self.kernel.wire_of(number)
        assert row["rss_type"] == abi.RSS_UDP_IPV4 and row["status"] == 0
        return number

    def take_all(self, total: int) -> list[int]:
        """Let the kernel bring frames up to number `total` - 1, and take all of them."""
        found: list[int] = []
        while True:
            while self.kernel.number < total and self.kernel.put():
                pass
            self.kernel.hand_over()
            pulled = self.pull()
            taken = self.take(self.slots)
            found += taken
            if not pulled and not taken:
                return found

    def keep(self) -> tuple[list[bytes], Any]:
        return [view.tobytes() for view in self.areas], self.kernel.keep()

    def put_back(self, kept: tuple[list[bytes], Any]) -> None:
        for view, content in zip(self.areas, kept[0], strict=True):
            view[:] = np.frombuffer(content, np.uint8)
        self.kernel.put_back(kept[1])
