"""The groups of tests/conftest.py: skipped with a reason, named at the end, and failed where CI must have them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"

TESTS = """
import pytest

@pytest.mark.needs("tshark")
def test_reader(): assert True

@pytest.mark.needs("captures", "tshark")
def test_both(): assert True

def test_plain(): assert True
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three tests under our conftest, with neither programs nor captures around it."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "tests" / "test_it.py").write_text(TESTS)
    return tmp_path


def run(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if name not in ("CI", "ZCFRAME_CAPTURES", "PYTEST_ADDOPTS")
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder),
        *options,
    ]
    given = kept | {"PATH": str(folder)} | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=given, cwd=folder)


@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist", "loadfile")], ids=["alone", "side by side"])
def test_what_is_not_there_is_skipped_and_named(folder: Path, options: tuple[str, ...]) -> None:
    found = run(folder, *options)
    assert found.returncode == 0
    assert "1 passed, 2 skipped" in found.stdout
    assert "tshark: 1 not run: tshark is not installed: apt-get install tshark" in found.stdout
    assert "captures: 1 not run: no folder of real captures" in found.stdout


def test_ci_fails_where_it_must_have_the_group(folder: Path) -> None:
    found = run(folder, CI="true", ZCFRAME_CAPTURES=str(folder))
    assert found.returncode == 1
    assert "CI must run the group tshark: tshark is not installed" in found.stdout
    assert "1 passed, 2 errors" in found.stdout


def test_ci_may_lack_real_captures(folder: Path) -> None:
    (folder / "tshark").write_text("#!/bin/sh\n")
    (folder / "tshark").chmod(0o755)
    found = run(folder, CI="true")
    assert found.returncode == 0
    assert "2 passed, 1 skipped" in found.stdout


def test_everything_there_and_nothing_is_named(folder: Path) -> None:
    (folder / "tshark").write_text("#!/bin/sh\n")
    (folder / "tshark").chmod(0o755)
    found = run(folder, ZCFRAME_CAPTURES=str(folder))
    assert "3 passed" in found.stdout
    assert "groups that this machine cannot run" not in found.stdout


def test_a_group_that_nobody_knows_is_refused(folder: Path) -> None:
    (folder / "tests" / "test_it.py").write_text(TESTS.replace('"captures"', '"capture"'))
    found = run(folder)
    assert found.returncode == 4
    assert "needs 'capture': there is only captures, " in found.stderr
