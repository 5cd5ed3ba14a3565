"""What is tried again in the lab, and what is not."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from . import attempt as module
from .attempt import attempt
from .bench import Bench
from .guest import EARLY_PANIC, EarlyPanic, Silence
from .packages import LabError

EARLY = """[    2.394980]  </TASK>
[    2.395022] Modules linked in:
[    2.395194] ---[ end trace 0000000000000000 ]---
[    2.402510] Kernel panic - not syncing: Fatal exception in interrupt
"""


class Fails:
    """A scenario that fails in these ways, one after the other, and is fine then."""

    __name__ = "scenarios.s00_fails"

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def run(self, bench: Any) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "fine"


def tried(*errors: Exception, lost: frozenset[int] = frozenset()) -> str:
    bench = SimpleNamespace(
        kernel=SimpleNamespace(series="6.12"),
        lost_wakeups=lambda: lost,
        keep_log=Path,
        close=lambda: None,
    )
    return attempt(cast(Bench, bench), cast(ModuleType, Fails(*errors)))


def test_a_panic_is_early_before_modules_only() -> None:
    assert EARLY_PANIC.search(EARLY)
    assert not EARLY_PANIC.search(EARLY.replace("linked in:", "linked in: pf_zerocopy(OE)"))
    assert not EARLY_PANIC.search(EARLY.replace("panic", "oops"))


def test_what_the_emulator_did_is_tried_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN", [])
    assert tried(EarlyPanic("gone")) == "fine; at the second try"
    assert tried(Silence("no answer"), lost=frozenset({1})) == "fine; at the second try"
    assert [told.partition(";")[0] for told in module.AGAIN] == [
        "6.12 s00_fails: the guest's kernel panicked before it had loaded a module",
        "6.12 s00_fails: QEMU lost a wake-up of processor 1",
    ]
    with pytest.raises(EarlyPanic):
        tried(EarlyPanic("gone"), EarlyPanic("gone"))


@pytest.mark.parametrize("error", [LabError("0, not 1"), Silence("no answer")])
def test_what_a_scenario_found_is_not(error: Exception) -> None:
    with pytest.raises(type(error)):
        tried(error)
