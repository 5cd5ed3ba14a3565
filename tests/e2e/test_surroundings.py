"""What a shell, a home directory or a limit does to the command: nothing, or one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.command import Finished, zcframe
from tests.kit.places import BUNDLED

RUN = ("run", "--json", "--read", BUNDLED, "--queues", 2, "--plugin", "sizes", "--speed", "max")
# Values that analysts set for their own code, and values that numba itself refuses while it is imported.
NUMBA = {
    "NUMBA_DISABLE_JIT": "1",
    "NUMBA_NUM_THREADS": "0",
    "NUMBA_OPT": "9",
    "NUMBA_DEBUG": "1",
    "NUMBA_DUMP_ASSEMBLY": "1",
    "NUMBA_BOUNDSCHECK": "x",
    "NUMBA_CPU_NAME": "none-such",
    "NUMBA_CPU_FEATURES": "+none-such",
    "NUMBA_ENABLE_CUDASIM": "1",
    "NUMBA_CACHE_DIR": "/nonexistent",
    "NUMBA_CACHE_LOCATOR_CLASSES": "none.such",
    "NUMBA_CAPTURED_ERRORS": "none_such",
    "NUMBA_THREADING_LAYER": "none-such",
    "NUMBA_CUDA_DEFAULT_PTX_CC": "x",
}


Counted = tuple[int, str, dict[str, object]]


def counted(done: Finished) -> Counted:
    """How a run ended, what it said, and what it counted."""
    return done.code, done.stderr, {name: done.document[name] for name in ("totals", "plugins")}


@pytest.fixture(scope="module")
def usual() -> Counted:
    """That of a run in nothing special; its code is in the cache afterwards."""
    return counted(zcframe(*RUN))


def test_variables_and_the_file_of_numba_have_no_effect(usual: Counted, tmp_path: Path) -> None:
    (tmp_path / ".numba_config.yaml").write_text("disable_jit: 1\nopt: 9\n{ not yaml\n")
    assert counted(zcframe(*RUN, launcher=["env", "-C", tmp_path], env=NUMBA)) == usual


@pytest.mark.parametrize("variable", ["PYTHONOPTIMIZE=2", "PYTHONWARNINGS=error", "TMPDIR=/nonexistent"])
def test_variables_of_python_have_none_either(usual: Counted, variable: str) -> None:
    if variable == "PYTHONOPTIMIZE=2":
        done = zcframe("plugins", launcher=["env", variable])
        assert (done.code, done.stderr) == (0, "")
        return
    assert counted(zcframe(*RUN, launcher=["env", variable])) == usual


def test_without_a_home_each_start_compiles_and_says_so_once(usual: Counted) -> None:
    done = zcframe(*RUN, launcher=["env", "-u", "XDG_CACHE_HOME"], env={"HOME": "/nonexistent"})
    code, said, figures = counted(done)
    assert said == (
        "zcframe: warning: compiled code is not kept, so that each start takes seconds longer: the home directory"
        " /nonexistent does not exist; set XDG_CACHE_HOME\n"
    )
    assert (code, figures) == (0, usual[2])
    assert not Path("/nonexistent").exists()


@pytest.mark.parametrize("files", [10, 18, 26])
def test_too_few_descriptors_are_told_without_a_traceback(usual: Counted, files: int) -> None:
    done = zcframe(*RUN, launcher=["prlimit", f"--nofile={files}"])
    assert done.code == 1
    assert "oo many open files" in done.stderr
