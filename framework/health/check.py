"""One finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail", "none"]


@dataclass(frozen=True)
class Check:
    """state: "fail" where no capture is possible for it, "none" where there is nothing to judge.

    remedy: the command that mends it, or "".
    """

    name: str
    state: State
    text: str
    remedy: str = ""
