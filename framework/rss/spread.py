"""How a card should spread frames; `--verify-rss` compares each frame with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .config import RssConfig

# Cards differ in where frames without a hash go, so that these are not compared.
ANYWHERE: Final = -1


@dataclass(frozen=True)
class Spread:
    """The queue of each frame, and what its descriptor should say.

    key: 40 bytes. fields: mask of FIELD_*. table: the queue of each entry, a power of two of them; the low bits of a
    hash choose. unhashed: the queue of frames without a hash, or ANYWHERE. hashes: whether descriptors hold the card's
    own hashes, and not ours.
    """

    key: bytes
    fields: int
    table: tuple[int, ...]
    unhashed: int = ANYWHERE
    hashes: bool = False

    @classmethod
    def of_82576(cls, rss: RssConfig) -> Spread:
        """The spread of an 82576 with these settings: frames without a hash come to queue 0."""
        return cls(rss.key, rss.field_mask, rss.reta, unhashed=0, hashes=True)

    def queue_of(self, hashed: int) -> int:
        """The queue of what `rss_hash` returned, or ANYWHERE."""
        return self.table[hashed & (len(self.table) - 1)] if hashed else self.unhashed
