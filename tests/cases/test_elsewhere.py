"""The tests that hold cases elsewhere are there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .elsewhere import ELSEWHERE

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_each_is_held(name: str) -> None:
    held = ELSEWHERE[name]
    assert held.reported
    assert held.tests
    for test in held.tests:
        file, function = test.split("::")
        tree = ast.parse((TESTS / file).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test
