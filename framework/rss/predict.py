"""Predicts how a key, fields and a number of queues would spread the traffic of a capture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.errors import ZcframeError

from .config import RssConfig
from .directions import BYTES_AT, TYPES_AT, FlowTable
from .fields import TYPE_NAMES
from .toeplitz import BUCKETS, UNHASHED, toeplitz_tables

BATCH_BYTES = 1 << 20

Frame = bytes | bytearray | memoryview
Octets = np.ndarray[Any, np.dtype[np.uint8]]
Records = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class QueueLoad:
    """Packets and bytes (wire lengths) that one queue would receive, and how many of the 128 buckets it serves."""

    queue: int
    packets: int
    bytes: int
    buckets: int


@dataclass(frozen=True)
class Prediction:
    """Load of the queues, and how many flows would be split between two queues.

    A flow is a symmetric 5-tuple; frames without a hash (queue 0) belong to none. `unfollowed` counts frames whose flow
    was not followed because the flow table was full: the shares are then those of the flows that were.
    """

    config: RssConfig
    queues: tuple[QueueLoad, ...]
    hash_types: dict[str, int]
    flows: int
    split_flows: int
    one_sided_flows: int
    unfollowed: int

    @property
    def packets(self) -> int:
        return sum(load.packets for load in self.queues)

    @property
    def bytes(self) -> int:
        return sum(load.bytes for load in self.queues)

    @property
    def imbalance(self) -> float:
        """Packets of the busiest queue over the mean of all: 1.0 is perfect, the number of queues is the worst."""
        return max(load.packets for load in self.queues) * len(self.queues) / self.packets if self.packets else 1.0

    @property
    def split(self) -> float:
        """Share of flows (0..1) whose two directions would fall into different queues, by computing both hashes."""
        return self.split_flows / self.flows if self.flows else 0.0

    @property
    def one_sided(self) -> float:
        """Share of flows (0..1) of which the capture shows only one direction, whatever the queues."""
        return self.one_sided_flows / self.flows if self.flows else 0.0

    def document(self) -> dict[str, Any]:
        """The prediction for JSON."""
        return {
            "rss": self.config.document(),
            "packets": self.packets,
            "bytes": self.bytes,
            "queues": [asdict(load) for load in self.queues],
            "imbalance": self.imbalance,
            "hash_types": self.hash_types,
            "flows": {
                "count": self.flows,
                "split": self.split_flows,
                "split_share": self.split,
                "one_sided": self.one_sided_flows,
                "one_sided_share": self.one_sided,
                "unfollowed_packets": self.unfollowed,
            },
        }


class Predictor:
    """Counts frames under `config`; ask for `prediction()` at any time."""

    def __init__(self, config: RssConfig) -> None:
        self.config = config
        self._tables = toeplitz_tables(config.key)
        self._reta = config.reta_array()
        self._table = FlowTable()

    def add_batch(self, data: Octets, records: Records) -> None:
        """Count Ethernet frames that lie in `data` (uint8, contiguous).

        records: int64, columns offset in data, captured length, wire length, and any more: batches of the capture
        reader fit. Raises ZcframeError for a record that lies outside.
        """
        records = np.ascontiguousarray(records, np.int64)
        offsets, lengths = records[:, 0], records[:, 1]
        if len(records) and (min(offsets.min(), lengths.min()) < 0 or (offsets + lengths).max() > data.size):
            raise ZcframeError(f"rss prediction: a record lies outside its batch of {data.size} bytes")
        rss = (self._tables.ctypes.data, self.config.field_mask)
        self._table.count(data.ctypes.data, records, rss, self._reta)

    def add(self, frames: Iterable[tuple[Frame, int]]) -> None:
        """Count (Ethernet frame, wire length) pairs; a frame may be a view of memory that the next one overwrites."""
        data = bytearray()
        records: list[tuple[int, int, int]] = []
        for frame, wire_length in frames:
            head = frame[: abi.BLOCK_SIZE]
            records.append((len(data), len(head), wire_length))
            data += head
            if len(data) >= BATCH_BYTES:
                self._flush(data, records)
                data, records = bytearray(), []
        self._flush(data, records)

    def _flush(self, data: bytearray, records: list[tuple[int, int, int]]) -> None:
        if records:
            self.add_batch(np.frombuffer(data or bytes(1), np.uint8), np.array(records, np.int64))

    def _loads(self) -> tuple[QueueLoad, ...]:
        queue_of = np.append(self._reta, 0)
        counters, queues = self._table.counters, self.config.queues
        packets, octets, buckets = np.zeros(queues, np.int64), np.zeros(queues, np.int64), np.bincount(self._reta)
        np.add.at(packets, queue_of, counters[: UNHASHED + 1])
        np.add.at(octets, queue_of, counters[BYTES_AT : BYTES_AT + BUCKETS + 1])
        return tuple(QueueLoad(q, int(packets[q]), int(octets[q]), int(buckets[q])) for q in range(queues))

    def prediction(self) -> Prediction:
        """The prediction from everything counted so far."""
        table = self._table
        types = {name: int(table.counters[TYPES_AT + number]) for number, name in sorted(TYPE_NAMES.items())}
        return Prediction(
            self.config, self._loads(), types, table.flows, table.split_flows, table.one_sided_flows, table.unfollowed
        )


def predict(config: RssConfig, frames: Iterable[tuple[Frame, int]]) -> Prediction:
    """Spread (Ethernet frame, wire length) pairs over the queues of `config`."""
    predictor = Predictor(config)
    predictor.add(frames)
    return predictor.prediction()
