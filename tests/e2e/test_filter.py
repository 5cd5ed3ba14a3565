"""tcpdump expressions given to the command: what it counts is what tcpdump counts, and wrong ones are one clear complaint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.bpf import listing
from tests.kit.command import Finished, together, zcframe
from tests.kit.places import BUNDLED

pytestmark = pytest.mark.needs("libpcap")

EXPRESSIONS = ("tcp port 443", "udp and port 53", "ip6", "not tcp and greater 200", "tcp[tcpflags] & tcp-syn != 0")


def by_tcpdump(*words: str) -> int:
    command = ["tcpdump", "-nr", str(BUNDLED), *words]
    return len(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def without_libpcap(*arguments: object) -> Finished:
    """The command where no libpcap can be loaded."""
    program = (
        "import ctypes, sys; real = ctypes.CDLL.__init__\n"
        "def init(self, name, *more, **rest):\n"
        "    if name and 'pcap' in str(name): raise OSError(name)\n"
        "    real(self, name, *more, **rest)\n"
        "ctypes.CDLL.__init__ = init\n"
        "from zcframe.framework.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return Finished(done.returncode, done.stdout, done.stderr).without_traceback()


@pytest.mark.needs("tcpdump")
def test_runs_count_what_tcpdump_counts() -> None:
    whole, runs = by_tcpdump(), ["run", "--json", "--plugin", "sizes", "--queues", "2", f"--read={BUNDLED}"]
    given = (["--filter", EXPRESSIONS[0]], EXPRESSIONS[1].split())
    for expression, done in zip(EXPRESSIONS, together(*([*runs, *words] for words in given)), strict=False):
        matching, document = by_tcpdump(expression), done.document
        assert done.code == 0 and document["filter"] == expression
        assert document["plugins"]["sizes"]["packets"] == matching
        assert done.ledger["accepted"] == matching
        assert done.ledger["dropped_by"] == {"filter": whole - matching}
        assert done.ledger["arrived"] == done.ledger["delivered"] == whole


@pytest.mark.needs("tcpdump")
def test_the_command_shows_what_tcpdump_shows_and_counts_what_it_counts() -> None:
    whole = by_tcpdump()
    commands = [["filter", *expression.split(), "--read", BUNDLED] for expression in EXPRESSIONS]
    for expression, done in zip(EXPRESSIONS, together(*commands), strict=True):
        assert done.stdout == listing(expression) + f"{by_tcpdump(expression):,} of {whole:,} packets match\n"
        assert (done.code, done.stderr) == (0, "")


def test_the_command_in_json() -> None:
    found = zcframe("filter", "--json", "ip", "--read", BUNDLED).document
    assert list(found) == ["filter", "program", "packets", "matched"]
    assert found["program"][0] == "(000) ldh      [12]"
    assert zcframe("filter").stdout == "(000) ret      #262144\n"


def test_the_plan_shows_the_expressions(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from zcframe import PASS, plugin\n\n\n@plugin(filter='udp port 53')\nclass Own:\n"
        "    def filter(pkt, state, params):\n        return PASS\n"
    )
    words = ("run", "--check", "--plugin", path, "--filter", "not arp")
    text, document = zcframe(*words), zcframe(*words, "--json").document
    assert "filter   not arp" in text.stdout.splitlines()
    assert "own filter='udp port 53'" in text.stdout
    assert (document["filter"], document["plugins"][0]["filter"]) == ("not arp", "udp port 53")


def test_the_expression_may_stand_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "zc.toml"
    path.write_text('filter = "udp"\n')
    assert zcframe("run", "--check", "--json", "--config", path).document["filter"] == "udp"
    assert zcframe("run", "--check", "--json", "--config", path, "--", "tcp").document["filter"] == "tcp"


@pytest.mark.parametrize(
    "words", [["run", "--filter", "tcp prt 80"], ["run", "--json", "tcp", "prt", "80"], ["filter", "tcp prt 80"]]
)
def test_a_wrong_expression_is_told_with_a_caret(words: list[str]) -> None:
    done = zcframe(*words)
    message, shown, caret = done.stderr.splitlines()
    assert (done.code, done.stdout) == (2, "")
    assert message.startswith("zcframe: ") and message.endswith(": can't parse filter expression: syntax error")
    assert (shown, caret) == ("  tcp prt 80", "      ^")


def test_two_expressions_are_refused() -> None:
    done = zcframe("run", "--filter", "tcp", "--check", "--", "udp")
    assert (done.code, done.stdout) == (2, "")
    assert done.complaints == ["zcframe: --filter tcp and 'udp' behind the options: give one of them"]


def test_without_libpcap_a_line_says_what_to_install() -> None:
    for words in (("run", "--read", BUNDLED, "--filter", "tcp"), ("filter", "tcp")):
        done = without_libpcap(*words)
        assert (done.code, done.stdout) == (1, "")
        (line,) = done.complaints
        assert "libpcap, which is not installed: apt-get install libpcap0.8" in line
    assert without_libpcap("run", "--check", "--read", BUNDLED).code == 0
