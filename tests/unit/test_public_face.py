"""The public API, the command line and the uapi header hold all that they held when tests/face was stored.

A new name, option, choice or field is fine; one that is gone or changed fails. `python -m tests.face` stores the face anew.
The JSON documents are compared in tests/e2e/test_document_shape.py.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

import zcframe
from tests.face.api import api
from tests.face.command import command
from tests.face.compare import shortcomings
from tests.face.header import header
from tests.face.store import stored
from zcframe.framework.cli import main


def test_the_public_api_is_whole() -> None:
    assert list(shortcomings(stored("api"), api())) == []


def test_the_command_line_is_whole() -> None:
    assert list(shortcomings(stored("command"), command())) == []


@pytest.mark.needs("gcc")
def test_the_header_is_whole() -> None:
    assert list(shortcomings(stored("header"), header())) == []


@pytest.mark.parametrize("name", stored("command")["commands"])
def test_help_of_each_command_names_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    text = capsys.readouterr().out
    options = [option for option in stored("command")["commands"][name] if option.startswith("--")]
    assert [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", text)] == []


def _removed(face: Any, *path: str) -> Any:
    less = copy.deepcopy(face)
    inner = less
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return less


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda face: _removed(face, "commands", "run", "--queues"), "commands.run.--queues is gone"),
        (lambda face: _removed(face, "commands", "nic bind"), "commands.nic bind is gone"),
        (lambda face: face["settings"]["queues"].update(default="4"), "settings.queues.default was '8', is '4'"),
        (
            lambda face: face["commands"]["run"]["--speed"]["choices"].remove("max"),
            "commands.run.--speed.choices has no 'max' any more",
        ),
    ],
)
def test_what_is_gone_or_changed_is_named(change: Any, found: str) -> None:
    face = copy.deepcopy(stored("command"))
    less = change(face) or face
    assert list(shortcomings(stored("command"), less)) == [found]


def test_what_is_added_does_not_matter() -> None:
    more = copy.deepcopy(stored("command"))
    more["commands"]["run"]["--speed"]["choices"].append("half")
    more["commands"]["run"]["--new"] = more["commands"]["run"]["--speed"]
    more["commands"]["new"] = {}
    assert list(shortcomings(stored("command"), more)) == []


@pytest.mark.needs("gcc")
def test_a_structure_may_grow_and_not_shrink() -> None:
    face = header()
    size = face["structures"]["zc_stats"]["sizeof"]
    face["structures"]["zc_stats"]["sizeof"] = size + 8
    assert list(shortcomings(stored("header"), face)) == []
    face["structures"]["zc_stats"]["sizeof"] = size - 8
    assert list(shortcomings(stored("header"), face)) == [f"structures.zc_stats.sizeof was {size}, is {size - 8}"]


def test_every_name_of_the_face_is_there() -> None:
    assert [name for name in zcframe.__all__ if not hasattr(zcframe, name)] == []
