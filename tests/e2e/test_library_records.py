"""Records that plugins emit, in the program that asked for the run: those that the command writes as JSON, each once."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import json
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest

import zcframe
from tests.kit.command import MARK, OWN, own_processes, until
from tests.kit.command import zcframe as command
from tests.kit.places import ANALYZERS, BUNDLED

SEGMENTS = f"{ANALYZERS}/segments.py:Tcp"
FOREVER = {"plugins": SEGMENTS, "queues": 2}
LIVE = 500


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this process count as its own, so that those that are left are found."""
    monkeypatch.setenv(MARK, OWN)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the command writes of the same packets."""
    path = tmp_path_factory.mktemp("rows") / "rows.json"
    done = command("run", "--json", "--read", BUNDLED, "--plugin", SEGMENTS, "--rows", f"json:{path}")
    assert done.code == 0, done
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


@pytest.fixture(scope="module")
def result() -> zcframe.Result:
    return zcframe.run(read=BUNDLED, plugins=SEGMENTS, queues=2)


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    assert isinstance(row["src"], ipaddress.IPv4Address | ipaddress.IPv6Address) and isinstance(row["octets"], bytes)
    return {"record": "tcp.data", **row, "src": str(row["src"]), "octets": row["octets"].hex()}


def _ledger(found: zcframe.Snapshot) -> dict[str, Any]:
    ((row,),) = (rows["records"] for rows in found.document["rows"])
    assert row["made"] == row["written"] + row["in_flight"] + sum(row["dropped"].values())
    return row  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["data", "tcp.data"])
def test_records_are_those_of_the_command(result: zcframe.Result, expected: list[dict[str, Any]], name: str) -> None:
    assert [_as_json(row) for row in result.records(name)] == expected
    assert len(expected) > 1000 and _ledger(result)["written"] == len(expected)


def test_they_are_the_same_for_every_reader_and_in_a_copy(result: zcframe.Result) -> None:
    first, second = result.records("data"), result.records("data")
    again = pickle.loads(pickle.dumps(result)).records("data")
    assert all(a == b == c for a, b, c in zip(first, second, again, strict=True))


def test_they_are_a_data_frame(result: zcframe.Result, expected: list[dict[str, Any]]) -> None:
    pytest.importorskip("pandas")
    frame = result.frame("tcp", "data")
    assert [str(frame[name].dtype) for name in ("ts", "sport")] == ["uint64", "uint16"]
    assert [_as_json(row) for row in frame.to_dict("records")] == expected


def _refusal(found: zcframe.Result, name: str) -> str:
    with pytest.raises(LookupError) as caught:
        found.records(name)
    return str(caught.value)


def test_names_that_are_none(result: zcframe.Result) -> None:
    assert _refusal(result, "dota") == "no plugin of this run has Records 'dota'; there are: tcp.data"
    none = zcframe.run(read=BUNDLED, plugins="sizes", queues=1)
    assert _refusal(none, "data") == "no plugin of this run has Records 'data'" and none.document["rows"] == []


def test_they_can_be_left_out() -> None:
    found = zcframe.run(read=BUNDLED, plugins=SEGMENTS, queues=1, records=False)
    assert _refusal(found, "data") == "records tcp.data were left out: records=False"
    assert set(_ledger(found)["dropped"]) == {"unasked"}


def test_a_kind_of_which_there_are_none() -> None:
    found = zcframe.run(read=BUNDLED, plugins=SEGMENTS, queues=1, filter="port 0")
    assert list(found.records("data")) == [] and _ledger(found)["made"] == 0
    if importlib.util.find_spec("pandas"):
        assert list(found.frame("tcp", "data")) == ["ts", "src", "sport", "dport", "octets", "words"]


def test_they_go_to_rows_too(tmp_path: Path, expected: list[dict[str, Any]]) -> None:
    path = tmp_path / "rows.json"
    found = zcframe.run(read=BUNDLED, plugins=SEGMENTS, queues=1, rows=f"json:{path}")
    assert [_as_json(row) for row in found.records("data")] == expected
    assert [json.loads(line) for line in path.read_text("ascii").splitlines()] == expected


def test_they_come_while_the_run_goes_on() -> None:
    seen = []
    with zcframe.start(**FOREVER) as running:
        for row in running.records("data"):
            seen.append(row)
            if len(seen) == LIVE:
                break
        at_that_time = list(running.snapshot().records("data"))
        running.stop()
        result = running.wait()
    every = list(result.records("data"))
    assert every[:LIVE] == seen and every[: len(at_that_time)] == at_that_time and len(at_that_time) >= LIVE
    assert len(every) == _ledger(result)["written"] == _ledger(result)["made"]


def test_they_end_with_the_run(expected: list[dict[str, Any]]) -> None:
    with zcframe.start(read=BUNDLED, plugins=SEGMENTS, queues=2) as running:
        assert [_as_json(row) for row in running.records("data")] == expected


def test_in_an_event_loop() -> None:
    async def some() -> tuple[list[Any], zcframe.Result]:
        seen = []
        async with zcframe.start_async(**FOREVER) as running:
            async for row in running.records("data"):
                seen.append(row)
                if len(seen) == LIVE:
                    break
        return seen, await running.wait()

    seen, result = asyncio.run(some())
    assert list(result.records("data"))[:LIVE] == seen


def test_a_killed_writer_leaves_each_once() -> None:
    with zcframe.start(**FOREVER) as running:
        (rows,) = running.snapshot().document["rows"]
        os.kill(rows["pid"], signal.SIGKILL)
        while running.snapshot().document["rows"][0]["restarts"] == 0:
            pass
        next(running.records("data"))
        running.stop()
        result = running.wait()
    assert len(list(result.records("data"))) == _ledger(result)["made"] == _ledger(result)["written"]


def test_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = os.listdir("/proc/self/fd")
    found = zcframe.run(read=BUNDLED, plugins=SEGMENTS, queues=1)
    assert next(found.records("data"))
    del found
    until(lambda: not own_processes(), what="the end of the run")
    assert os.listdir("/proc/self/fd") == before and os.listdir(tmp_path) == []


def test_without_a_folder_for_files(monkeypatch: pytest.MonkeyPatch, expected: list[dict[str, Any]]) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    found = zcframe.run(read=BUNDLED, plugins=SEGMENTS, queues=1)
    assert [_as_json(row) for row in found.records("data")] == expected
