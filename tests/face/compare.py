"""A snapshot against the face of the present code: what is missing or changed; what is new does not matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# A structure of the ABI may grow at its end, so that its size is a lower bound.
LOWER_BOUND = "sizeof"


def shortcomings(stored: Any, present: Any, where: str = "") -> Iterator[str]:
    """One sentence for each entry of `stored` that `present` lacks or has otherwise.

    Mappings may have more keys, lists (which stand for sets) more members; all else must be equal.
    """
    if isinstance(stored, Mapping) and isinstance(present, Mapping):
        for key, value in stored.items():
            path = f"{where}.{key}" if where else str(key)
            if key not in present:
                yield f"{path} is gone"
            elif key == LOWER_BOUND:
                if present[key] < value:
                    yield f"{path} was {value}, is {present[key]}"
            else:
                yield from shortcomings(value, present[key], path)
    elif isinstance(stored, list) and isinstance(present, list):
        yield from (f"{where} has no {member!r} any more" for member in stored if member not in present)
    elif stored != present or type(stored) is not type(present):
        yield f"{where} was {stored!r}, is {present!r}"
