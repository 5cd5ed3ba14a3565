"""Whether a chain looks at the hashes of packets: where it does not, a worker that describes frames computes none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .bound import BoundPlugin
from .handover import HandOver
from .inline import Inliner

# Attributes of a packet that come of its hash.
OF_HASH: Final = frozenset(("bucket", "rss_hash", "rss_type"))


# Forms of records that hand the hash on.
WITH_HASH: Final = frozenset(("ring",))


def looks_at_hashes(
    plugins: Iterable[BoundPlugin], inliners: Iterable[Inliner], outputs: Iterable[HandOver] = ()
) -> bool:
    """Whether state lies by bucket, a function reads a hash or calls what nobody can look into, or an output has it."""
    return any(output.record in WITH_HASH for output in outputs) or any(
        not plugin.layout.per_worker or inliner.opaque or not OF_HASH.isdisjoint(inliner.names)
        for plugin, inliner in zip(plugins, inliners, strict=True)
    )
