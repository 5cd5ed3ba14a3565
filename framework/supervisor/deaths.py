"""The deaths of a queue's workers: whether a packet is to blame, and whether a successor would get any further."""

from __future__ import annotations

from dataclasses import dataclass

# A crash loop is this many deaths in a row, each within GRACE_S of the start, or with the worker stuck, and fewer than
# GETTING_ON packets after the last one. SIGKILL from outside counts less.
CRASHES = 5
FOREIGN_KILLS = 50
GRACE_S = 1.0
GETTING_ON = 64


@dataclass(frozen=True)
class Death:
    """How and where a worker died.

    packet, stage: the packet that the worker was at, from 0, and its plugin, from 1; 0 for none. stuck: the
    supervisor killed it for that; seen_there: it was found stuck at this very place. foreign: SIGKILL from outside.
    lived_s: time since its start.
    """

    packet: int
    stage: int
    prefetching: bool
    stuck: bool
    seen_there: bool
    foreign: bool
    lived_s: float


@dataclass
class Deaths:
    """All deaths of a queue's workers so far. last_at: (packet, stage) of the last one; futile: how many in a row."""

    futile: int = 0
    last_at: tuple[int, int] = (-1, -1)

    def add(self, death: Death) -> bool:
        """Remember a death; whether its packet is to be skipped, because a worker died of it a second time."""
        quick = death.lived_s < GRACE_S or death.stuck
        stays = death.packet - self.last_at[0] < GETTING_ON
        self.futile = self.futile + 1 if quick and stays else 1
        # A worker may have got on between the order to kill it and its death.
        guilty = death.seen_there if death.stuck else self.last_at == (death.packet, death.stage)
        # A worker that is killed from outside did nothing wrong.
        self.last_at = death.packet, 0 if death.foreign else death.stage
        return death.stage > 0 and not death.foreign and not death.prefetching and guilty

    def loops(self, death: Death) -> bool:
        """Whether another successor would die like the last ones."""
        return self.futile >= (FOREIGN_KILLS if death.foreign else CRASHES)
