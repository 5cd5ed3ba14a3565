"""What the system refused, in words, and how long it is asked again."""

from __future__ import annotations

import errno
import os

import pytest

from zcframe.framework.errors import refusal
from zcframe.framework.supervisor import refusals
from zcframe.framework.supervisor.refusals import Refusals


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)), ["EAGAIN", "pids.max", "ulimit -u"]),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), ["ENOMEM", "--queues"]),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), ["EMFILE", "ulimit -n"]),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/run/x"), ["ENOSPC", "/run/x"]),
        (OSError("odd"), ["odd"]),
        (MemoryError(), ["ENOMEM", "out of memory", "--queues"]),
    ],
)
def test_a_refusal_is_named_with_its_remedy(error: OSError | MemoryError, words: list[str]) -> None:
    text = refusal(error)
    assert all(word in text for word in words) and "\n" not in text and "None" not in text


def test_it_is_asked_less_and_less_often_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(refusals.time, "monotonic", lambda: now)
    found = Refusals()
    assert not found.any and not found.enough
    assert found.add()
    pauses = []
    while not found.enough:
        pauses.append(found.pause)
        now = found.again
        assert not found.add()
    assert pauses == sorted(pauses) and pauses[-1] == refusals.LONGEST_PAUSE_S
    assert 0.8 * refusals.PATIENCE_S < now - 100.0 <= refusals.PATIENCE_S
