"""numba compiles the same code with what lean.py remembers for it as without."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.kit.command import PATIENCE, environment
from zcframe.framework.jit.lean import REPLACED, lean

# Compiled by numba alone, which never sees the rest of zcframe; with `lean` in the arguments, leanly.
COMPILE = """
import itertools, json, sys
import numba
import numpy as np
from numba import types

def whole(a, b):
    total = 0
    for i in range(10):
        total += (a + i) * b - (a ^ 3 & b | i) + (a >> 2) - (b << 1)
        if total > 1000 or a <= b and not b == 7 or i != 3:
            total -= a // 5 + b % 3
        total = -total if a < 0 else ~total
    return total

def divided(a, b):
    return a // b + a % b

def power(a, b):
    return a ** 2 + 2 ** 3 + (1 if a ** 0 == 1 else b)

def mixed(a, b):
    return a + 1.5, a / 2, (a > b) + 1, -a, not a

def several(a, b):
    pair = (a, b)
    return min(a, b) + max(pair) + abs(a) + int(bool(b)) + len(pair) + pair[0]

def caught(a, b):
    try:
        if a > b:
            raise ValueError("no")
        return a
    except Exception:
        return b

def counted(a, b):
    pair = np.empty(3, np.int64), a
    values = pair[0]
    for i in range(3):
        values[i] = i
    return values[2] + len(pair)

if sys.argv[1:]:
    from zcframe.framework.jit.lean import lean
    leanly = lean()
    leanly.__enter__()
VALUES = [-9, -1, 0, 1, 5, 7, 1 << 40]
found = {}
for function in (whole, divided, power, mixed, several, caught, counted):
    for kinds in ((types.int64, types.int64), (types.int32, types.uint8), (types.uint64, types.boolean)):
        compiled = numba.njit(error_model="numpy")(function)
        compiled.compile(kinds)
        own = [v for v in VALUES if kinds[0] is not types.uint64 or v >= 0]
        narrow = [v for v in own if kinds[0] is not types.int32 or v < 1 << 30]
        others = [0, 1, 3, 7] if kinds[1] is not types.boolean else [False, True]
        entry = compiled.overloads[kinds].entry_point
        results = [repr(entry(a, b)) for a, b in itertools.product(narrow, others)]
        found[f"{function.__name__} {kinds}"] = [
            str(compiled.overloads[kinds].signature), compiled.inspect_llvm(kinds), results
        ]
print(json.dumps(found))
"""
# numba calls functions of its own in these, which are optimised with the caller, and not before it.
WITH_SUBROUTINES = "several"


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, Any], dict[str, Any]]:
    """What numba makes of each function by itself, and leanly."""

    def found(*arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-c", COMPILE, *arguments]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True, timeout=PATIENCE)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return found(), found("lean")


def test_types_and_results_are_the_same(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    plain, leanly = both
    assert plain.keys() == leanly.keys()
    for name in plain:
        assert (plain[name][0], plain[name][2]) == (leanly[name][0], leanly[name][2]), name


def test_machine_independent_code_is_the_same(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    plain, leanly = both
    for name in plain:
        if not name.startswith(WITH_SUBROUTINES):
            assert plain[name][1] == leanly[name][1], name


def test_numba_is_itself_again_afterwards() -> None:
    """Also where the compiler raises: numba code of an author's is compiled as numba does."""
    originals = [getattr(owner, name) for owner, name, _ in REPLACED]
    with pytest.raises(ZeroDivisionError), lean():
        assert all(getattr(owner, name) is new for owner, name, new in REPLACED)
        raise ZeroDivisionError
    assert [getattr(owner, name) for owner, name, _ in REPLACED] == originals
