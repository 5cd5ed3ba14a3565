"""What brings frames into a ring that its own worker fills."""

from __future__ import annotations

from typing import Any

from zcframe.framework.jit.pointer import address_of
from zcframe.framework.jit.words import Words


class Puller:
    """A compiled function and the words that it is called with.

    hashes: the place of the word that says whether descriptors get the hash. kept: what addresses among them point to.

    The function gives back frames that were released, describes those that wait elsewhere, and returns a number: 0 says
    that none waited. The chain calls it where the ring is empty; Python may call it between two calls of the chain.
    """

    def __init__(self, function: Any, words: Words, hashes: int, *kept: object) -> None:
        self.function, self.words, self._hashes, self._kept = function, words, hashes, kept

    def leave_out_hashes(self) -> None:
        """Describe frames without their hash, since nobody will look at it."""
        self.words[self._hashes] = 0

    def __call__(self) -> int:
        return int(self.function(self.words))

    @property
    def address(self) -> int:
        """Of the function, for compiled code."""
        return address_of(self.function)
