"""Nothing in these tests hangs on chance: the hash of tables has the same secrets each time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from random import Random

import pytest


@pytest.fixture(scope="module", autouse=True)
def fixed_secrets() -> Iterator[None]:
    """Under one set of secrets in fifty some window of a nearly full shard has no room for all its keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_bytes", lambda size: Random(size).randbytes(size))
        yield
