"""A plugin as plain Python gives the report of the compiled one, and print works in it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.kit.command import PROGRAM, environment
from tests.kit.places import BUNDLED, ROOT
from zcframe.framework.cli import main
from zcframe.framework.workbench.frames import read_frames
from zcframe.framework.workbench.interpret import interpret
from zcframe.framework.workbench.trial import resolve, settled
from zcframe.testing import interpret_plugin, run_plugin, tcp, udp, write_capture

FRAMES = read_frames(BUNDLED)[:2000]
EXAMPLES = ROOT / "examples" / "plugins"


@pytest.mark.parametrize("spec", ["sizes", "flows", str(EXAMPLES / "ports.py"), str(EXAMPLES / "services.py")])
def test_the_report_is_that_of_compiled_code(spec: str) -> None:
    found, expected = interpret(settled(resolve(spec, {}), 1), FRAMES), run_plugin(spec, FRAMES)  # type: ignore[arg-type]
    assert found.report == expected.report
    assert (found.verdicts, found.faults) == (expected.verdicts, expected.faults)


TEXT = '''\
from zcframe import DROP, PASS, Array, Table, plugin, u8, u64


@plugin
class Noisy:
    """Writes, and raises after that for some packets."""

    counts = Array(u64, 8)
    rows = Table(key={"port": u64}, value={"packets": u64, "last": u8}, capacity=4096)

    def ahead(pkt, state, params):
        return state.rows.spot(pkt.dport)

    def filter(pkt, state, params, ahead):
        row = state.rows.upsert(ahead)
        row.packets += 1
        row.last = pkt.dport - 300
        state.counts[pkt.proto & 7] -= 1
        if pkt.payload.u32(0) == 0x61626364:
            state.counts[8] += 1
        if pkt.dport == 53:
            print("port", pkt.sport)
            return DROP
        return PASS
'''

PACKETS = [udp(dport=53, sport=7), tcp(b"abcd"), udp(b"abcde", dport=9), udp(dport=9), tcp(), udp(b"abc", dport=9)]


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    path = tmp_path / "noisy.py"
    path.write_text(TEXT)
    return path


def test_faults_are_undone_and_told_as_in_compiled_code(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = interpret_plugin(str(noisy), PACKETS)
    assert capfd.readouterr().out == "port 7\n"
    expected = run_plugin(str(noisy), PACKETS)
    assert found.report == expected.report
    assert found.verdicts == expected.verdicts
    (one,), (other,) = found.faults, expected.faults
    assert (one.reason, one.packets, one.first.number) == (other.reason, other.packets, other.first.number)
    assert one.reason == "IndexError: index out of range of state.counts, which has 8, noisy.py:20"


def test_the_command(noisy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capture = write_capture(tmp_path / "few.pcap", PACKETS)
    assert main(["plugin", "interpret", str(noisy), "--read", str(capture)]) == 0
    out, err = capfd.readouterr()
    printed, document = out.splitlines()
    assert printed == "port 7"
    assert json.loads(document)["rows"]["count"] == 3
    assert (
        err == "zcframe: 2 packets faulted: IndexError: index out of range of state.counts, which has 8, noisy.py:20\n"
    )


def test_a_filter_that_returns_something_else(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noisy.write_text(TEXT.replace("return PASS", "return 1"))
    assert main(["plugin", "interpret", str(noisy)]) == 2
    assert "plugin noisy: filter returned 1: return PASS or DROP" in capfd.readouterr().err


def test_who_leaves_the_debugger_ends_the_command(noisy: Path) -> None:
    noisy.write_text(TEXT.replace('print("port", pkt.sport)', "breakpoint()"))
    command = [*PROGRAM, "plugin", "interpret", noisy]
    done = subprocess.run(
        command, env=environment(), input="p pkt.dport\nq\n", capture_output=True, text=True, check=False
    )
    assert "(Pdb) 53\n" in done.stdout
    assert (done.returncode, done.stderr) == (1, "zcframe: interrupted\n")


def test_a_filter_of_the_plugin_s_own_is_refused(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noisy.write_text(TEXT.replace("@plugin\n", '@plugin(filter="udp")\n'))
    assert main(["plugin", "interpret", str(noisy)]) == 2
    assert "cannot be interpreted: leave it out" in capfd.readouterr().err
