"""The JSON documents have every key that they had when tests/face was stored, with the type that it had."""

from __future__ import annotations

import pytest

from tests.face.compare import shortcomings
from tests.face.document import documents
from tests.face.store import stored


def test_the_documents_are_whole() -> None:
    assert list(shortcomings(stored("documents"), documents())) == []


@pytest.mark.parametrize("document", stored("documents"))
def test_a_key_that_is_gone_is_named(document: str) -> None:
    less = {name: dict(paths) for name, paths in stored("documents").items()}
    path = list(less[document])[-1]
    del less[document][path]
    assert list(shortcomings(stored("documents"), less)) == [f"{document}.{path} is gone"]
