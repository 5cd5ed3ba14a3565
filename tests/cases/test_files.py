"""Every case by one run of its kind: exit code, numbers, flows, Community IDs and stderr; then by an independent reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from tests.kit.checks import check_books
from tests.kit.command import Finished, zcframe

from . import community_ids, connections, damage, dns, formats, half_open, headers, leaps, surroundings
from .case import Case, Flow, Kind

MODULES = (headers, community_ids, connections, half_open, dns, formats, damage, leaps, surroundings)
KINDS = tuple(module.KIND for module in MODULES)
EACH = [pytest.param(kind, case, id=case.name) for kind in KINDS for case in kind.cases]
BY_NAME = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


class Runs:
    """One run of the command a kind, when a test first asks for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done: dict[str, Finished] = {}

    def files(self, kind: Kind) -> dict[str, list[Path]]:
        """Write the files of the cases, those of a case in their order."""
        found: dict[str, list[Path]] = {}
        for case in kind.cases:
            for name, data in case.files.items():
                path = self.folder / f"{case.name}-{name}"
                path.write_bytes(data)
                found.setdefault(case.name, []).append(path)
        return found

    def __call__(self, kind: Kind) -> Finished:
        if kind.name not in self._done:
            paths = [path for paths in self.files(kind).values() for path in paths]
            words = ["run", "--json", "--queues", 2, *kind.options, "--plugin", kind.plugin, "--read", *paths]
            self._done[kind.name] = zcframe(*words, env=kind.env)
        return self._done[kind.name]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("cases"))


def at(document: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; one that is not there is None."""
    return reduce(lambda value, key: value.get(key) if isinstance(value, Mapping) else None, path.split("."), document)


def flows_of(document: Mapping[str, Any], case: Case) -> list[dict[str, Any]]:
    """All flows in which a host of the case is an end."""
    return [row for row in document["plugins"]["flows"]["top"] if case.hosts & {row["src"], row["dst"]}]


def lines(done: Finished) -> list[str]:
    return [line for line in done.stderr.splitlines() if "zcframe: " in line]


@pytest.mark.parametrize(("kind", "case"), EACH)
def test_case(runs: Runs, kind: Kind, case: Case) -> None:
    done = runs(kind)
    if case.flows:
        found = flows_of(done.document, case)
        assert Counter(Flow(*(row[name] for name in Flow._fields)) for row in found) == Counter(case.flows)
        if case.ids:
            assert {row["community_id"] for row in found} == case.ids
    for path, wanted in case.rows.items():
        for row in wanted:
            assert [row for each in at(done.document, path) if row.items() <= each.items()] == [row], path
    for text in case.said:
        assert sum(text in line for line in lines(done)) == 1, done.stderr


def sums(kind: Kind) -> Counter[str]:
    """Numbers of the document by dotted path, as the cases make them up."""
    found = Counter[str]()
    for case in kind.cases:
        found.update(case.adds)
        if case.flows:
            packets = sum(flow.packets for flow in case.flows)
            found.update({"plugins.flows.count": len(case.flows), "plugins.flows.packets": packets})
    return found


@BY_NAME
def test_kind(runs: Runs, kind: Kind) -> None:
    """What the cases add up to, and that nothing else came of them, nor is said."""
    done, wanted = runs(kind), sums(kind)
    assert done.code == kind.code, done
    check_books(done.document)
    assert wanted
    assert {path: at(done.document, path) for path in wanted} == wanted
    told = [*kind.said, *(text for case in kind.cases for text in case.said)]
    assert [text for text in told if not any(text in line for line in lines(done))] == []
    assert [line for line in lines(done) if not any(text in line for text in told)] == []


@pytest.mark.needs("tshark")
@BY_NAME
def test_reader(runs: Runs, kind: Kind) -> None:
    """An independent reader finds the same in the same files."""
    kind.reader(runs.files(kind), runs(kind).document)


def test_cases_do_not_meet() -> None:
    """Cases of a kind have hosts of their own, all have names of their own, and each kind was reported by somebody."""
    names = Counter(case.name for kind in KINDS for case in kind.cases)
    assert set(names.values()) == {1}
    for kind in KINDS:
        hosts = Counter(host for case in kind.cases for host in case.hosts)
        assert set(hosts.values()) <= {1}, hosts
        assert any(case.reported for case in kind.cases), kind.name
        assert all(case.why and case.what for case in kind.cases)
