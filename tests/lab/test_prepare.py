"""A kernel that cannot be had is named, and the others are there all the same; in CI that is a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from . import prepare as module
from .__main__ import Score
from .packages import Apt, LabError
from .test_choice import BACKPORT, OWN


def kernels(monkeypatch: pytest.MonkeyPatch, series: list[str] | None, lack: str = "") -> Any:
    """What is prepared of these series where Debian 13's backports answer, or where they are lacking."""

    def fetch(*_: object) -> object:
        if lack:
            raise LabError(lack)
        return BACKPORT

    monkeypatch.setattr(module, "prepare_kernels", lambda *_: OWN)
    monkeypatch.setattr(module, "prepare_next_kernel", fetch)
    return module._prepare_kernels(Apt.__new__(Apt), Path(), series)


def test_all_three_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found, lacking = kernels(monkeypatch, None)
    assert (list(found), lacking) == (["7.3", "6.12", "6.1"], "")


def test_backports_that_cannot_be_reached_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found, lacking = kernels(monkeypatch, None, "no route")
    assert list(found) == ["6.12", "6.1"]
    assert "trixie" in lacking and "no route" in lacking


def test_they_are_not_asked_for_other_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels(monkeypatch, ["6.1"], "no route") == (OWN, "")


@pytest.mark.parametrize("required", [True, False], ids=["CI", "elsewhere"])
def test_a_lack_is_a_failure_in_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], required: bool
) -> None:
    monkeypatch.setenv("CI", "true" if required else "")
    score = Score()
    score.lack("no kernel")
    assert (score.failed, score.skipped) == ((1, 0) if required else (0, 1))
    assert "no kernel" in capsys.readouterr().out
