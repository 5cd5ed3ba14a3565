"""A whole run in one process: frames into rings, the compiled chain over them, state and reports out.

It uses the framework's own rings, posts, state and workers, so that what a test sees is what a run does; only the
software NIC, the forks and the supervisor are left out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dpkt
import numpy as np

from zcframe.framework import abi
from zcframe.framework.chain.bound import BoundPlugin, bind
from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.handover import BOOK, END, LINE, ROWS, HandOver
from zcframe.framework.chain.no_ip import by_ethertype, state_layouts
from zcframe.framework.chain.spec import parse_spec
from zcframe.framework.chain.workspace import GENERATION
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.outputs.taken import RowsTaken
from zcframe.framework.outputs.writer.rings import OutputRings
from zcframe.framework.ring import Ring
from zcframe.framework.rss import SYMMETRIC_KEY, default_reta
from zcframe.framework.rss.toeplitz import hash_frame
from zcframe.framework.share import Shares, share_table
from zcframe.framework.state.merge import State, empty_state, merge_states, read_shard
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.supervisor.faults import read_faults
from zcframe.framework.worker.loop import Worker
from zcframe.framework.worker.post import Post

FIRST_NS = 1_700_000_000 * 10**9
STEP_NS = 1_000
LAST_NS = (1 << 63) - 1


class Frame(NamedTuple):
    """Bytes of an Ethernet frame, its time in ns, and its length on the wire where that is not len(data)."""

    data: bytes
    ts: int
    wire: int = 0
    vlan_tci: int | None = None


def bound(plugin: str | type, queues: int = 1, **params: Any) -> BoundPlugin:
    """`plugin` (a SPEC or a class marked with @plugin) with these parameters."""
    if isinstance(plugin, str):
        spec = parse_spec(plugin)
        return bind(spec.declared, {**spec.params, **params}, queues)
    return bind(plugin.__zcframe__, params, queues)  # type: ignore[attr-defined]


def read_capture(path: Path) -> list[Frame]:
    """All frames of an Ethernet capture, as dpkt reads them."""
    with path.open("rb") as file:
        reader = dpkt.pcap.UniversalReader(file)
        assert reader.datalink() == dpkt.pcap.DLT_EN10MB
        # Some captures claim to be from after 2262: nanoseconds end there.
        return [Frame(bytes(data), min(max(0, round(float(ts) * 1e9)), LAST_NS)) for ts, data in reader]


class Rig:
    """Plugins over `queues` rings of `slots`. `feed(frames)`, then `state(name)`, `report(name)`, `ledger()`."""

    def __init__(
        self,
        *plugins: BoundPlugin | str | type,
        queues: int = 1,
        slots: int = 256,
        key: bytes = SYMMETRIC_KEY,
        fields: str = "5-tuple",
        filter: str = "",
        outputs: Sequence[HandOver] = (),
        shares: Shares | None = None,
        waits: bool = True,
        snaplen: int = 262144,
        ring_bytes: int = 1 << 20,
    ) -> None:
        self.plugins = [p if isinstance(p, BoundPlugin) else bound(p, queues) for p in plugins]
        self.queues, self.key, self.fields, self.clock = queues, key, fields, FIRST_NS
        self.reta = default_reta(queues)
        self.memory = StateMemory(state_layouts(self.plugins, queues, outputs))
        program = compile_expression(filter, "filter") if filter else None
        # None where there are no outputs, as tests put chains of their own in place of build_chain.
        more = {"outputs": list(outputs)} if outputs else {}
        self.chain = build_chain(self.plugins, program=program, **more)
        buffer, count = queues * ring_bytes, shares.count if shares else 1
        table = share_table(shares).tobytes() if shares else b""
        kinds = sum(len(plugin.layout.records) for plugin in self.plugins)
        self.outputs = [
            OutputRings(
                *(str(j), queues, count, buffer * count),
                waits=waits,
                snaplen=snaplen,
                table=table,
                rows=RowsTaken(kinds, range(kinds)) if output.record == ROWS else None,
            )
            for j, output in enumerate(outputs)
        ]
        self.rings = [Ring(queue, slots) for queue in range(queues)]
        self.producers = [ring.producer() for ring in self.rings]
        self.posts = [Post(ring, self.chain.codes, ring.queue) for ring in self.rings]
        self.workers = [Worker(post, self.chain, self.memory, 0, self.outputs) for post in self.posts]
        self._descs = [self._array(end, abi.DESC, end.desc_address) for end in self.producers]

    def handed(self, share: int = 0, output: int = 0, queue: int = 0) -> bytes:
        """What was committed of one ring of an output, from its beginning on, as far as it still lies there."""
        generation = int(self.posts[queue].progress.view("u8", GENERATION)[0])
        books, _, _ = self.workers[queue]._handed[output]
        end = int(books.view("u8", share * BOOK + (generation & 1) * LINE + END)[0])
        rings = self.workers[queue]._handed[output][1]
        assert end <= self.outputs[output].size
        return ctypes.string_at(rings.at(share), end)

    def finish(self) -> Rig:
        """End the run, as workers do when all is taken: last ticks."""
        for worker in self.workers:
            worker.finish()
        return self

    @staticmethod
    def _array(end: Any, dtype: Any, address: int) -> np.ndarray[Any, Any]:
        ring = end._mappings[0]
        return ring.view(dtype, address - ring.address, end.slots)  # type: ignore[no-any-return]

    def feed(self, frames: Iterable[Frame | bytes]) -> Rig:
        """Put every frame into the ring of its queue, running the chain when a ring is full and at the end."""
        for frame in frames:
            self.put(frame)
        for queue in range(self.queues):
            self.drain(queue)
        return self

    def put(self, frame: Frame | bytes) -> None:
        """Put a frame into the ring of its queue and leave it there; bytes arrive a microsecond after the last ones."""
        if isinstance(frame, bytes):
            self.clock += STEP_NS
            frame = Frame(frame, self.clock)
        rss_type, rss_hash = hash_frame(frame.data, self.key, self.fields)
        queue = int(self.reta[rss_hash & (abi.RETA_SIZE - 1)]) if rss_type else 0
        end = self.producers[queue]
        written = int(end.header["write"][0])
        if written - self.posts[queue].done & 0xFFFFFFFF == end.slots:
            self.drain(queue)
        slot = written & (end.slots - 1)
        data = frame.data[: abi.BLOCK_SIZE]
        blocks = end._mappings[2].view("u1", slot * abi.BLOCK_SIZE, abi.BLOCK_SIZE)
        blocks[: len(data)] = np.frombuffer(data, np.uint8)
        status = 0 if frame.vlan_tci is None else abi.STATUS_VLAN
        wire = frame.wire or len(frame.data)
        tpid = 0x8100 if status else 0
        fields = (slot * abi.BLOCK_SIZE, wire, rss_hash, len(data), frame.vlan_tci or 0, tpid, status, rss_type)
        self._descs[queue][slot] = (frame.ts, *fields, abi.ACCESS_READABLE, 0)
        end.header["write"][0] = (written + 1) & 0xFFFFFFFF

    def drain(self, queue: int) -> None:
        """Run the chain on what is in the ring."""
        worker = self.workers[queue]
        while worker.chain.run(worker.ctx, 1 << 16):
            pass

    def _index(self, name: str) -> int:
        return [p.name for p in self.plugins].index(name)

    def states(self, name: str) -> list[State]:
        """The state of every shard that was written to."""
        k = self._index(name)
        layout = self.plugins[k].layout
        copied = [shard for shard in range(layout.shards) if self.memory.copy(k, shard) is not None]
        return [state for state in (self.memory.read(k, shard) for shard in copied) if state is not None]

    def state(self, name: str) -> State:
        plugin = self.plugins[self._index(name)]
        merge = plugin.declared.merge or merge_states
        merged: State = merge(self.states(name) or [empty_state(plugin.layout)])
        return merged

    def report(self, name: str) -> dict[str, Any]:
        plugin = self.plugins[self._index(name)]
        assert plugin.declared.report is not None
        function = plugin.declared.report
        arguments = (self.state(name), plugin.params_tuple())[: function.__code__.co_argcount]
        report: dict[str, Any] = function(*arguments)
        return report

    def lines(self, name: str) -> list[str]:
        function = self.plugins[self._index(name)].declared.lines
        assert function is not None
        lines: list[str] = function(self.report(name))
        return lines

    def no_ip(self) -> dict[int, int]:
        """Packets without IP by ethertype."""
        k = len(self.plugins)
        layout = self.memory.layouts[k]
        copies = [self.memory.copy(k, worker) for worker in range(self.queues)]
        return by_ethertype([read_shard(layout, copy) for copy in copies if copy is not None])

    def faults(self) -> dict[str, tuple[int, int]]:
        """By plugin: how many packets were told of why they faulted, and the number of the first one."""
        return {fault.plugin: (fault.packets, fault.first.number) for fault in read_faults(self.posts, self.plugins)}

    def ledger(self) -> dict[str, Any]:
        """Packets and bytes, and packets by verdict: "accepted", dropped and faulted by name; all queues together."""
        total = np.sum([post.ledger() for post in self.posts], axis=0)
        packets, octets, accepted, *rest = (int(n) for n in total)
        names = [p.name for p in self.plugins]
        filtered = {"filter": rest.pop()} if self.chain.program is not None else {}
        dropped, faulted = rest[: len(names)], rest[len(names) :]
        return {
            "packets": packets,
            "bytes": octets,
            "accepted": accepted,
            "dropped": filtered | dict(zip(names, dropped, strict=True)),
            "faulted": dict(zip(names, faulted, strict=True)),
        }

    def close(self) -> None:
        self._descs.clear()
        for worker in self.workers:
            del worker._stop, worker._pause_order, worker.parked
            worker.progress.close()
            worker.orders_mapping.close()
            worker.ring.close()
        for end in self.producers:
            end.close()
        for rings in self.outputs:
            rings.close()
        for post in self.posts:
            post.close()
        for ring in self.rings:
            ring.close()
        self.memory.close()

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run(plugins: Sequence[BoundPlugin | str | type], frames: Iterable[Frame | bytes], **options: Any) -> Rig:
    """A rig that these frames went through; the caller closes it."""
    return Rig(*plugins, **options).feed(frames)
