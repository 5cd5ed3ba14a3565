"""What a plugin costs: the chain with it, and the chain without it, in turns over the same packets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any, Final

from zcframe.framework.chain.build import Chain
from zcframe.framework.chain.spec import PluginSpec
from zcframe.framework.rss.config import RssConfig
from zcframe.framework.supervisor.change.rig import Rig
from zcframe.framework.supervisor.room import state_plan

from .counter import Counter
from .frames import Frames
from .trial import chain_of, settled

# Rounds, and how many of the first do not count: caches fill, and tables get their rows.
ROUNDS: Final = 41
WARM_UP: Final = 3
# Packets of a round at least: a few microseconds say nothing.
LEAST: Final = 8192


@dataclass(frozen=True)
class Spread:
    """The middle of all rounds, and the bounds of the middle half of them; nanoseconds or instructions a packet."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        low, _, high = quantiles(values, n=4)
        return cls(median(values), low, high)

    def as_json(self) -> dict[str, float]:
        return {name: round(value, 2) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Cost:
    """alone: difference of the two chains in each round. with_it, without: ns a packet of the chains.

    instructions: alone, a packet; None where no counter is, refusal says why. state: bytes in shared memory; written:
    of them, those of shards that were written to.
    """

    packets: int
    rounds: int
    alone: Spread
    with_it: Spread
    without: Spread
    instructions: Spread | None
    refusal: str
    state: int
    written: int

    def as_json(self) -> dict[str, Any]:
        spreads = {name: getattr(self, name) for name in ("alone", "with_it", "without", "instructions")}
        plain = {name: getattr(self, name) for name in ("packets", "rounds", "refusal", "state", "written")}
        return plain | {name: spread and spread.as_json() for name, spread in spreads.items()}


def _round(rig: Rig, frames: Frames, read: Callable[[], int]) -> float:
    """What `read` counts while the chain takes all frames, a packet. Delivery does not count."""
    (worker,) = rig.workers
    row, counted = 0, 0
    while row < len(frames):
        behind = rig.deliver(frames, row)
        before = read()
        # So many, and no more: a chain that finds its ring empty waits a moment.
        worker.chain.run(worker.ctx, behind - row)
        counted += read() - before
        row = behind
    return counted / len(frames)


def _in_turns(rigs: Sequence[Rig], frames: Frames, read: Callable[[], int]) -> list[list[float]]:
    """For each rig, the value of each round."""
    rounds = [[_round(rig, frames, read) for rig in rigs] for _ in range(WARM_UP + ROUNDS)]
    return [list(values) for values in zip(*rounds[WARM_UP:], strict=True)]


def _difference(values: Sequence[Sequence[float]]) -> Spread:
    return Spread.of([one - other for one, other in zip(*values, strict=True)])


def cost_of(spec: PluginSpec, frames: Frames) -> Cost:
    """Measure a plugin on these frames, by one queue. Raises PluginCompileError, RingError."""
    plugin = settled(spec, 1)
    repeated = frames[list(range(len(frames))) * -(-LEAST // max(len(frames), 1))]
    rss = RssConfig.make("symmetric", "5-tuple", 1)
    chains: list[Chain] = [chain_of(plugin), chain_of()]
    with Rig(chains[0], rss) as one, Rig(chains[1], rss) as other, closing(Counter()) as counter:
        times = _in_turns((one, other), repeated, time.perf_counter_ns)
        counts = [] if counter.refusal else _in_turns((one, other), repeated, counter.read)
        return Cost(
            packets=len(repeated),
            rounds=ROUNDS,
            alone=_difference(times),
            with_it=Spread.of(times[0]),
            without=Spread.of(times[1]),
            instructions=_difference(counts) if counts else None,
            refusal=counter.refusal,
            state=state_plan(plugin, 1).bytes,
            written=len(one.states()) * plugin.layout.shard_size,
        )
