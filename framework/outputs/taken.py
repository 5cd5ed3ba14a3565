"""Which records an output for rows takes, as workers are told."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from zcframe.framework.chain.handover import HandOverContext
from zcframe.framework.chain.records.tally import TALLIES


class RowsTaken(NamedTuple):
    """What an output for rows takes. kinds: of record in the run, how many; taken: their numbers.

    asked: whether somebody reads them; else they are only counted.
    """

    kinds: int
    taken: Collection[int]
    asked: bool = True

    def words(self, words: HandOverContext) -> HandOverContext:
        """The words of a ring with these."""
        bits = sum(1 << number for number in self.taken)
        data = words.data if self.asked else 0
        return words._replace(data=data, tallies=words.books + TALLIES, kinds=self.kinds, taken=bits)
