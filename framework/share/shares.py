"""How the traffic is shared: by which rule, among how many, and with which weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zcframe.framework.errors import UsageError
from zcframe.framework.nearest import nearest, offer

# Of 4,096 buckets each gets 32 or so: with more shares, chance would make them too unequal.
MAX_SHARES: Final = 128
MAX_WEIGHT: Final = 1024

# Each rule, and what it keeps together.
RULES: Final = {
    "ip-pair": "all packets between two addresses",
    "5-tuple": "all packets of a connection; fragments, and what has no ports, by their two addresses",
    "queue": "all packets of a receive queue: queue q goes to share q modulo N",
    "vlan": "all packets of a VLAN, by the outermost tag",
    "inner": "all packets between two addresses inside of tunnels",
}
DEFAULT_RULE: Final = "ip-pair"


@dataclass(frozen=True)
class Shares:
    """A rule, and the weight of each share. Raises UsageError where they do not fit."""

    rule: str = DEFAULT_RULE
    weights: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise UsageError(f"--share {self.rule}: no such rule{offer(nearest(self.rule, RULES), list(RULES))}")
        if not 1 <= len(self.weights) <= MAX_SHARES:
            raise UsageError(f"--shares {len(self.weights)}: 1 to {MAX_SHARES} shares are possible")
        if min(self.weights) < 1 or sum(self.weights) > MAX_WEIGHT:
            raise UsageError(f"--shares {self.text}: weights are whole numbers from 1, {MAX_WEIGHT} together at most")
        if self.rule == "queue" and len(set(self.weights)) > 1:
            raise UsageError(f"--shares {self.text}: --share queue takes no weights, since a queue is never divided")

    @classmethod
    def parse(cls, rule: str, text: str) -> Shares:
        """From a number of equal shares ("4"), or a weight for each ("2:1:1"). Raises UsageError."""
        try:
            numbers = tuple(int(word) for word in text.split(":"))
        except ValueError:
            raise UsageError(f"--shares {text}: a number is needed, or weights such as 2:1:1") from None
        if len(numbers) > 1:
            return cls(rule, numbers)
        if not 1 <= numbers[0] <= MAX_SHARES:
            raise UsageError(f"--shares {text}: 1 to {MAX_SHARES} shares are possible")
        return cls(rule, (1,) * numbers[0])

    @property
    def count(self) -> int:
        return len(self.weights)

    @property
    def text(self) -> str:
        """As `parse` takes it."""
        return str(self.count) if len(set(self.weights)) == 1 else ":".join(map(str, self.weights))

    def require_queues(self, queues: int) -> None:
        """Raises UsageError where a share would stay empty, since there are fewer receive queues."""
        if self.rule == "queue" and self.count > queues:
            raise UsageError(
                f"--shares {self.count}: --share queue can fill {queues} only, one a receive queue; "
                "use more --queues, fewer --shares, or --share ip-pair"
            )
