"""`zcframe plugin new`: what it writes passes its own tests, ruff's and mypy's at once; nothing is overwritten."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.kit.command import environment, zcframe
from tests.kit.places import ROOT
from zcframe.framework.chain.spec import GROUP
from zcframe.framework.cli import main


def tool(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


@pytest.mark.long
@pytest.mark.parametrize("package", [False, True])
def test_what_it_writes_passes_at_once(
    package: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", "two_words", *["--package"] * package]) == 0
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert sorted(capsys.readouterr().out.split("\n\n")[0].splitlines()) == files
    done = tool(tmp_path, "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "two_words" if package else ".")
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_it_is_written_in_the_style_of_the_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ruff")
    pytest.importorskip("mypy")
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", "two_words"]) == 0
    config = ("--config", ROOT / "pyproject.toml")
    assert tool(tmp_path, "ruff", "check", *config, ".").returncode == 0
    assert tool(tmp_path, "ruff", "format", "--check", *config, ".").returncode == 0
    done = tool(tmp_path, "mypy", "--strict", "--cache-dir", tmp_path / "mypy", "two_words.py", "test_two_words.py")
    assert done.returncode == 0, done.stdout


def test_a_package_has_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", "--package", "two_words"]) == 0
    project = tomllib.loads((tmp_path / "two_words" / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][GROUP] == {"two_words": "two_words:TwoWords"}
    assert "class TwoWords:" in (tmp_path / "two_words" / "src" / "two_words" / "__init__.py").read_text()


@pytest.mark.parametrize("there", ["two_words.py", "test_two_words.py"])
def test_nothing_is_overwritten(there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / there).write_text("mine")
    done = zcframe("plugin", "new", "two_words")
    assert (done.code, done.stdout) == (2, "")
    assert (
        done.stderr == f"zcframe: {there} is there already, and is not overwritten: take another name, or remove it\n"
    )
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_package_that_is_there_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two_words").mkdir()
    assert main(["plugin", "new", "--package", "two_words"]) == 2
    assert list((tmp_path / "two_words").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Two", "is no name for a plugin"),
        ("two-words", "is no name for a plugin"),
        ("../two", "is no name for a plugin"),
        ("class", "is no name for a plugin"),
        ("json", "is a module that every program needs to find"),
        ("zcframe", "is a module that every program needs to find"),
    ],
)
def test_names_that_are_none(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", name]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
