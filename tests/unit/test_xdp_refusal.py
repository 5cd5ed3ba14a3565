"""A queue that is taken is asked for again, for a while; any other refusal is one at once."""

from __future__ import annotations

import errno

import pytest

from zcframe.framework.sources.xdp import refusal
from zcframe.framework.sources.xdp.refusal import patiently


class Kernel:
    """Refuses so often, with this error, and then returns 7."""

    def __init__(self, number: int, times: int) -> None:
        self.number, self.times, self.calls = number, times, 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.times:
            raise OSError(self.number, "no")
        return 7


def test_a_queue_that_becomes_free_is_taken() -> None:
    kernel = Kernel(errno.EBUSY, 3)
    assert patiently(kernel) == 7
    assert kernel.calls == 4


def test_another_refusal_is_told_at_once() -> None:
    kernel = Kernel(errno.EPERM, 1)
    with pytest.raises(OSError) as told:
        patiently(kernel)
    assert (told.value.errno, kernel.calls) == (errno.EPERM, 1)


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal, "PATIENCE_S", 0.02)
    with pytest.raises(OSError) as told:
        patiently(Kernel(errno.EBUSY, 1 << 30))
    assert told.value.errno == errno.EBUSY
