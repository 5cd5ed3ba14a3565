"""Everything the NIC needs to know to spread traffic over its queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zcframe.framework import abi
from zcframe.framework.errors import UsageError

from .fields import check_key, field_mask
from .keys import key_name, rss_key
from .reta import check_reta, default_reta
from .symmetry import SymmetryProof, prove_symmetry


@dataclass(frozen=True)
class RssConfig:
    """Key (40 bytes), its name, fields ("ip-pair" or "5-tuple") and the queue of each of 128 buckets.

    Raises UsageError where one of them is not what the 82576 takes.
    """

    key: bytes
    key_name: str
    fields: str
    reta: tuple[int, ...]

    def __post_init__(self) -> None:
        check_key(self.key)
        field_mask(self.fields)
        check_reta(self.reta, abi.MAX_QUEUES)

    @classmethod
    def make(cls, key_spec: str, fields: str, queues: int) -> RssConfig:
        """Configuration with the default table for `queues`.

        Raises UsageError for a wrong key, field name or number, and where symmetry is asked for and not given.
        """
        config = cls(rss_key(key_spec), key_name(key_spec), fields, tuple(default_reta(queues).tolist()))
        if key_spec == "symmetric":
            config.require_symmetric()
        return config

    @property
    def field_mask(self) -> int:
        """Mask of FIELD_*, as compiled code takes it."""
        return field_mask(self.fields)

    @property
    def queues(self) -> int:
        """Number of queues that the table reaches: they count from 0."""
        return max(self.reta) + 1

    @property
    def symmetry(self) -> SymmetryProof:
        """Whether both directions of every flow go to one queue, by proof."""
        return prove_symmetry(self.key, self.fields)

    def reta_array(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The table for compiled code: uint8, shape (128,)."""
        return np.array(self.reta, np.uint8)

    def with_reta(self, reta: Sequence[int], queues: int) -> RssConfig:
        """This configuration with another table. Raises UsageError where it does not fit `queues`."""
        return RssConfig(self.key, self.key_name, self.fields, check_reta(reta, queues))

    def require_symmetric(self) -> None:
        """Raises UsageError that names the first hash type which sends two directions of a flow apart."""
        proof = self.symmetry
        if not proof:
            raise UsageError(f"RSS key {self.key_name} with fields {self.fields} is {proof}; use --rss-key symmetric")

    def document(self) -> dict[str, Any]:
        """The configuration for JSON: key in hex, fields, 128 queue numbers."""
        return {"key": self.key.hex(), "fields": self.fields, "reta": list(self.reta)}
