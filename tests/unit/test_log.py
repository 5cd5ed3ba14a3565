"""The log funnel under kill -9, floods and hostile workers."""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from zcframe.framework import log

KILLS = 120
SURVIVORS = 3
# Every character that changes the writing direction, and the two separators that end a line.
TURNS = [chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))]


class Collector(logging.Handler):
    """Keeps what it is given, formatted."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def collector() -> Collector:
    collector = Collector()
    collector.setFormatter(logging.Formatter("%(processName)s %(process)d %(levelname)s %(name)s: %(message)s"))
    return collector


@pytest.fixture
def funnel(collector: Collector) -> Iterator[log.LogFunnel]:
    funnel = log.install(verbose=True, sub_handler=collector)
    yield funnel
    log.uninstall(funnel)


@contextmanager
def child(work: Callable[[], None]) -> Iterator[int]:
    """A fork that runs `work` and is killed and reaped at the end."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def run_child(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return pid


def log_for_ever(name: str) -> None:
    """Or for as long as any test may take. Without pytest's own handlers, which would keep each record."""
    signal.alarm(60)
    log.name_process(name)
    root, logger = logging.getLogger(), logging.getLogger("zcframe.test")
    root.handlers = [handler for handler in root.handlers if isinstance(handler, log.LogFunnel)]
    number = 0
    while True:
        logger.warning("line %d of %s", number, "x" * 200)
        number += 1


def until(condition: Callable[[], bool], funnel: log.LogFunnel, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        funnel.drain()


def lost_by(collector: Collector) -> int:
    """Records that were reported as lost."""
    reported = [
        re.search(r"zcframe.framework.log: (\d+) log records of workers were lost", line) for line in collector.lines
    ]
    return sum(int(found[1]) for found in reported if found)


def test_a_record_crosses_with_its_process_name_and_pid(funnel: log.LogFunnel, collector: Collector) -> None:
    def work() -> None:
        log.name_process("zc-rx-3")
        logging.getLogger("zcframe.worker").info("ring %d is full", 3)

    pid = run_child(work)
    assert funnel.drain() == 1
    assert collector.lines == [f"zc-rx-3 {pid} INFO zcframe.worker: ring 3 is full"]


def test_the_supervisors_own_records_do_not_take_the_socket(funnel: log.LogFunnel, collector: Collector) -> None:
    logging.getLogger("zcframe.supervisor").warning("here")
    assert collector.lines[0].endswith("WARNING zcframe.supervisor: here")
    assert funnel.drain() == 0


def test_a_traceback_crosses_as_text(funnel: log.LogFunnel, collector: Collector) -> None:
    def work() -> None:
        try:
            raise ValueError("bad header")
        except ValueError:
            logging.getLogger("zcframe.worker").exception("plugin failed")

    run_child(work)
    funnel.drain()
    assert "plugin failed\nTraceback" in collector.lines[0]
    assert collector.lines[0].endswith("ValueError: bad header")


def test_it_starts_no_thread(funnel: log.LogFunnel) -> None:
    assert threading.enumerate() == [threading.main_thread()]


@pytest.mark.long
def test_survivors_are_heard_after_many_kills(funnel: log.LogFunnel, collector: Collector) -> None:
    def heard(name: str) -> bool:
        return any(line.startswith(name) for line in collector.lines)

    for kill in range(KILLS):
        name = f"zc-rx-{kill}"
        with child(lambda name=name: log_for_ever(name)):  # type: ignore[misc]
            until(lambda name=name: heard(name + " "), funnel)  # type: ignore[misc]
        collector.lines.clear()
    # The last one may have filled the socket.
    while funnel.drain():
        pass
    for survivor in range(SURVIVORS):
        run_child(lambda: logging.getLogger("zcframe.test").warning("alive"))
        funnel.drain(10_000)
        assert any(line.endswith("alive") for line in collector.lines), f"survivor {survivor} is not heard"
        collector.lines.clear()


@pytest.mark.long
def test_a_killed_writer_does_not_stop_one_that_lives(funnel: log.LogFunnel, collector: Collector) -> None:
    def from_the_living() -> int:
        return sum(line.startswith("zc-rx-live") for line in collector.lines)

    with child(lambda: log_for_ever("zc-rx-live")):
        for _ in range(KILLS):
            with child(lambda: log_for_ever("zc-rx-dead")):
                funnel.drain(100)
        collector.lines.clear()
        # More than the socket held when the last one died.
        until(lambda: from_the_living() > 3000, funnel)


def test_a_full_socket_drops_and_the_next_record_says_how_many(funnel: log.LogFunnel, collector: Collector) -> None:
    told, tell = os.pipe()
    go, let_go = os.pipe()
    records = 20_000

    def flood() -> None:
        logger = logging.getLogger("zcframe.test")
        for _ in range(records):
            logger.warning("flood")
        os.write(tell, b"x")
        os.read(go, 1)
        logger.warning("after")

    with child(flood) as pid:
        os.read(told, 1)
        got = 0
        while batch := funnel.drain():
            got += batch
        assert 0 < got < records
        os.write(let_go, b"x")
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        funnel.drain()
    assert collector.lines[-1].endswith("after")
    assert lost_by(collector) == records - got
    for fd in (told, tell, go, let_go):
        os.close(fd)


def test_what_a_writer_lost_before_it_was_killed_is_counted(funnel: log.LogFunnel, collector: Collector) -> None:
    """Its own count would go with it."""
    told, tell = os.pipe()
    records = 20_000

    def flood() -> None:
        logger = logging.getLogger("zcframe.test")
        for _ in range(records):
            logger.warning("flood")
        os.write(tell, b"x")
        signal.pause()

    with child(flood):
        os.read(told, 1)
    got = 0
    while batch := funnel.drain():
        got += batch
    assert 0 < got < records
    assert got + lost_by(collector) == records
    for fd in (told, tell):
        os.close(fd)


def test_a_flood_does_not_hold_up_the_caller(funnel: log.LogFunnel) -> None:
    with child(lambda: log_for_ever("zc-rx-0")):
        until(lambda: funnel.queue.qsize() == 1, funnel)
        time.sleep(0.05)
        assert 0 < funnel.drain(limit=10) <= 10


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x80\x04\x95cos\nsystem\n",
        b"[1, 2]",
        b"{}",
        b"null",
        b"[" * 60_000,
        b'{"name": 3}',
        b'{"msg":"m","exc_text":"","name":"n","processName":"p","funcName":"","pathname":"","levelno":1e999,"process":1,'
        b'"lineno":1,"created":1}',
        b'{"msg":"m","exc_text":"","name":"n","processName":"p","funcName":"","pathname":"","levelno":30,"process":1,'
        b'"lineno":1,"created":NaN}',
    ],
)
def test_garbage_in_the_socket_is_counted_and_skipped(
    datagram: bytes, funnel: log.LogFunnel, collector: Collector
) -> None:
    funnel.queue._sender.send(datagram)
    run_child(lambda: logging.getLogger("zcframe.test").warning("alive"))
    assert funnel.drain() == 1
    assert funnel.queue.malformed == 1
    assert collector.lines[0].endswith("alive")


def test_a_worker_cannot_write_to_the_terminal(funnel: log.LogFunnel, collector: Collector) -> None:
    run_child(lambda: logging.getLogger("zcframe.test").warning("\x1b]0;title\x07 \x9b2J"))
    funnel.drain()
    assert collector.lines[0].endswith(r"\x1b]0;title\x07 \x9b2J")


def test_a_hostile_worker_cannot_write_to_the_terminal(funnel: log.LogFunnel, collector: Collector) -> None:
    fields = dict.fromkeys(log.TEXTS, "\x1b[2J") | dict.fromkeys(log.NUMBERS, 30) | {"created": 1.5}
    funnel.queue._sender.send(json.dumps(fields).encode())
    assert funnel.drain() == 1
    assert "\x1b" not in collector.lines[0]


@pytest.mark.parametrize("turn", TURNS)
def test_a_worker_cannot_turn_the_terminal_around(turn: str, funnel: log.LogFunnel, collector: Collector) -> None:
    run_child(lambda: logging.getLogger("zcframe.test").warning(f"a{turn}b\n\tc"))
    fields = dict.fromkeys(log.TEXTS, f"d{turn}") | dict.fromkeys(log.NUMBERS, 30) | {"created": 1.5}
    funnel.queue._sender.send(json.dumps(fields).encode())
    assert funnel.drain() == 2
    assert collector.lines[0].endswith(f"a\\u{ord(turn):04x}b\n\tc")
    assert turn not in collector.lines[1]


def test_a_long_record_is_cut(funnel: log.LogFunnel, collector: Collector) -> None:
    run_child(lambda: logging.getLogger("zcframe.test").warning("\N{GRINNING FACE}" * 1_000_000))
    funnel.drain()
    assert collector.lines[0].endswith("\N{GRINNING FACE}...")
    assert len(collector.lines[0]) < 5_000


def test_a_worker_outlives_the_supervisors_end_of_the_socket(collector: Collector) -> None:
    transport = log.DatagramQueue()
    record = logging.LogRecord("zcframe", logging.WARNING, "", 1, "text", None, None)
    transport.put_nowait(record)
    assert transport.get(timeout=0).getMessage() == "text"
    transport.close()
    transport.put_nowait(record)


def test_get_gives_up_after_its_time() -> None:
    transport = log.DatagramQueue()
    assert transport.qsize() == 0
    with pytest.raises(queue.Empty):
        transport.get(timeout=0.01)
    transport.close()


def test_other_packages_do_not_debug_into_the_log(funnel: log.LogFunnel, collector: Collector) -> None:
    logging.getLogger("numba.core").debug("ssa")
    logging.getLogger("zcframe.worker").debug("ours")
    assert [line.rsplit(" ", 1)[1] for line in collector.lines] == ["ours"]


@pytest.mark.parametrize(("origin", "logger"), [(False, ""), (True, " zcframe.affinity")])
def test_a_line_has_the_form_of_notices(origin: bool, logger: str) -> None:
    """Time, whose it is, how bad it is; a traceback follows."""
    fields = {"name": "zcframe.affinity", "levelno": logging.WARNING, "levelname": "WARNING", "created": 1.7e9}
    record = logging.makeLogRecord(fields | {"processName": "zc-rx-3", "msg": "no CPU %d", "args": (5,)})
    record.exc_text = "Traceback: ..."
    first, second = log.EventFormatter(origin=origin).format(record).splitlines()
    time, rest = first.split(" ", 1)
    assert datetime.fromisoformat(time).timestamp() == 1.7e9
    assert rest == f"zcframe: warning: zc-rx-3{logger}: no CPU 5"
    assert second == "Traceback: ..."
    record.processName = "MainProcess"
    assert log.EventFormatter().format(record).splitlines()[0].endswith("zcframe: warning: no CPU 5")
