"""docs/testing.md: its example passes, and its tables name what there is."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.command import environment
from tests.kit.places import ROOT
from zcframe.framework.cli.plugin import VERBS
from zcframe.framework.workbench.check import CHECKS
from zcframe.testing import Result, Verdicts, __all__, run_plugin

PAGE = (ROOT / "docs" / "testing.md").read_text()
PLUGINS = (ROOT / "docs" / "plugins.md").read_text()


def _example(page: str, name: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return next(block for block in blocks if re.search(rf"^(class|def) {name}\b", block, re.MULTILINE))


def _column(heading: str) -> list[str]:
    """The first cells of the table below a line of headings."""
    rows = PAGE.split(f"| {heading} |")[1].split("\n\n")[0].splitlines()[2:]
    return [cell for row in rows for cell in re.sub("`", "", row.split("|")[1]).strip().split(", ")]


@pytest.mark.long
def test_the_examples_pass(tmp_path: Path) -> None:
    (tmp_path / "protocols.py").write_text(_example(PLUGINS, "Protocols"))
    (tmp_path / "test_short.py").write_text(_example(PLUGINS, "test_protocols"))
    (tmp_path / "test_long.py").write_text(_example(PAGE, "test_protocols"))
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout, done.stdout


def test_the_tables_are_complete() -> None:
    assert _column("check") == list(CHECKS)
    assert _column("argument") == list(inspect.signature(run_plugin).parameters)
    named = {name.removeprefix("result.") for name in _column("result")}
    public = {name for name in (*dir(Result), *Result.__dataclass_fields__) if not name.startswith("_")}
    assert named == public - {"plugin"}
    assert [name for name in (*Verdicts.__dataclass_fields__, "total") if f"`{name}`" not in PAGE] == []


def test_every_name_and_verb_is_taught() -> None:
    made = ("Fault", "Result", "Verdicts")
    assert [name for name in __all__ if name not in made and not re.search(rf"\b{name}\(|\b{name}`", PAGE)] == []
    assert [verb for verb in VERBS if f"zcframe plugin {verb} " not in PAGE] == []
