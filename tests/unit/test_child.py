"""How a process ended, in words; that it dies with its parent stands in test_soft82576.py."""

from __future__ import annotations

import signal

import pytest

from zcframe.framework.child import cause_of, ending


@pytest.mark.parametrize(
    ("exit_code", "cause", "predicate"),
    [
        (None, "gone", "is gone"),
        (0, "ended with exit code 0", "ended with exit code 0"),
        (3, "ended with exit code 3", "ended with exit code 3"),
        (-signal.SIGSEGV, "killed by SIGSEGV", "was killed by SIGSEGV"),
        (
            -(signal.SIGRTMIN + 1),
            f"killed by signal {signal.SIGRTMIN + 1}",
            f"was killed by signal {signal.SIGRTMIN + 1}",
        ),
    ],
)
def test_every_end_has_words(exit_code: int | None, cause: str, predicate: str) -> None:
    assert (cause_of(exit_code), ending(exit_code)) == (cause, predicate)
