"""`zcframe extcap` without a Wireshark: its answers, its refusals, and the program that it installs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.kit.command import environment, together, zcframe
from zcframe.framework.show.toolbar import Toolbar
from zcframe.framework.stats import RunSnapshot, SourceInfo
from zcframe.framework.stats.observer import RssInfo

LO = ("extcap", "--extcap-interface", "zc:lo")


def test_what_wireshark_asks_when_it_starts() -> None:
    """Link type and options; nothing is said where a filter is right, and libpcap's words where it is not."""
    asked = ("--extcap-dlts",), ("--extcap-config",), ("--extcap-capture-filter", "tcp port 80")
    wrong = ("--extcap-capture-filter", "tcp prt 80")
    dlts, config, right, told = together(*((*LO, *words) for words in (*asked, wrong)))
    assert [done.code for done in (dlts, config, right, told)] == [0] * 4
    assert dlts.stdout == "dlt {number=1}{name=EN10MB}{display=Ethernet}\n"
    assert [line.split("}{")[1] for line in config.stdout.splitlines() if line.startswith("arg ")] == [
        "call=--backend",
        "call=--no-promiscuous",
        "call=--snaplen",
    ]
    assert "value {arg=0}{value=auto}{display=auto}{default=true}" in config.stdout.splitlines()
    assert right.stdout == ""
    assert told.stdout.splitlines()[0] == "the capture filter: can't parse filter expression: syntax error"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "zcframe extcap --install has it do so"),
        (("--extcap-interface", "lo", "--extcap-dlts"), 2, "--extcap-interface lo: zc:IFACE is needed"),
        (("--extcap-interface", "zc:l0", "--extcap-dlts"), 1, "there is no interface 'l0'"),
        (("--extcap-interface", "zc:lo"), 2, "--extcap-capture-filter is needed"),
        (("--extcap-interface", "zc:lo", "--capture"), 2, "--capture: --fifo is needed"),
        (("--extcap-interface", "zc:lo:1", "--capture", "--fifo", "@"), 2, "there is no queue '1' of lo"),
        (("--extcap-interface", "zc:lo:x", "--capture", "--fifo", "@"), 2, "there is no queue 'x' of lo"),
        (("--extcap-interface", "zc:lo", "--capture", "--fifo", "/dev/null"), 2, "--fifo /dev/null: a FIFO is needed"),
        (("--install", "/dev/null/x"), 1, "--install: /dev/null/x/zcframe: Not a directory"),
    ],
)
def test_refused(tmp_path: Path, words: tuple[str, ...], code: int, told: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    done = zcframe("extcap", *(str(tmp_path / "fifo") if word == "@" else word for word in words))
    assert (done.code, done.stdout, len(done.stderr.splitlines())) == (code, "", 1), done
    assert told in done.stderr
    os.close(reader)


def test_what_is_installed_calls_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "a folder" / "extcap"
    assert zcframe("extcap", "--install", folder).code == 0
    words = [str(folder / "zcframe"), *LO[1:], "--extcap-dlts"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.startswith("dlt {number=1}")


def test_the_toolbar(tmp_path: Path) -> None:
    """Its messages, byte by byte, and that nobody has to read them."""
    path = tmp_path / "control"
    os.mkfifo(path)
    toolbar = Toolbar(str(path))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    toolbar.say("a line")
    toolbar.tick(RunSnapshot(SourceInfo("iface", ("lo",), "packet"), 0.0, RssInfo("", "", ())))
    log, line = b"T\0\0\x09\0\2a line\n", os.read(reader, 1 << 16)
    assert line.startswith(log) and line.endswith(b"T\0\0\x03\1\0010")
    for _ in range(10_000):
        toolbar.say("x" * 100)
    held = os.read(reader, 1 << 20)
    message = b"T\0\0\x67\0\2" + b"x" * 100 + b"\n"
    assert held == message * (len(held) // len(message)) != b""
    toolbar.close()
    os.close(reader)
