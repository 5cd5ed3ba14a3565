"""One finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail", "none"]


@dataclass(frozen=True)
class Check:
    """One finding. state: "fail" where it prevents every capture, "none" where there is nothing to judge.

    remedy: the command that mends it, or "".
    """

    name: str
    state: State
    text: str
    remedy: str = ""
