"""The parallel command: one for each share of a FIFO, started before frames flow and waited for after the end."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.kit.command import Background, Finished, leave_nothing, until, zcframe
from tests.kit.places import BUNDLED

FRAMES = 8379


def words(folder: Path, *more: object, shares: int = 3) -> tuple[object, ...]:
    out = ("--out", f"fifo:{folder}/x{{}}", "--shares", shares)
    return ("run", "--json", "--read", BUNDLED, "--queues", 2, "--plugin", "sizes", *out, *more)


def refused(done: Finished, code: int, *parts: str) -> None:
    assert (done.code, done.stdout) == (code, ""), done
    (line,) = done.complaints
    assert all(part in line for part in parts), line


def left(folder: Path) -> list[str]:
    leave_nothing()
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.needs("tcpdump")
def test_each_share_is_read_by_its_command(tmp_path: Path) -> None:
    """{} alone is the FIFO, and the share's number elsewhere; what a command prints is not in the report."""
    done = zcframe(*words(tmp_path, "--", "tcpdump", "-Z", "root", "-n", "-r", "{}", "-w", f"{tmp_path}/of{{}}.pcap"))
    assert done.code == 0, done
    (output,) = done.document["outputs"]
    assert [row["exit_code"] for row in output["commands"]] == [0, 0, 0]
    assert sum(row["written"] for row in output["shares"]) == FRAMES
    assert [(tmp_path / f"of{row['share']}.pcap").stat().st_size for row in output["shares"]] == [
        row["bytes"] for row in output["shares"]
    ]
    assert left(tmp_path) == ["of0.pcap", "of1.pcap", "of2.pcap"]


def test_each_exit_code_is_told(tmp_path: Path) -> None:
    done = zcframe(*words(tmp_path, "--", "sh", "-c", 'cat "$0" > /dev/null; echo said; exit {}', "{}"))
    assert done.code == 1
    assert [row["exit_code"] for row in done.document["outputs"][0]["commands"]] == [0, 1, 2]
    *each, whole = done.complaints
    assert [f"share {share} ended with exit code {share}: sh -c" in line for share, line in enumerate(each)] == [
        True
    ] * 3
    assert whole == "zcframe: 2 of 3 commands failed: share 1, 2"
    assert left(tmp_path) == []


def test_what_cannot_be_started_is_refused(tmp_path: Path) -> None:
    """In one line, before the first frame; and nothing is left behind."""
    (tmp_path / "no-program").write_text("x")
    (tmp_path / "no-program").chmod(0o755)
    refused(zcframe(*words(tmp_path, "--", "no-such-program", "{}")), 2, "no program no-such-program")
    refused(zcframe(*words(tmp_path, "--", "cat", "x")), 2, "no word has {}")
    refused(
        zcframe(*words(tmp_path, "--out", f"fifo:{tmp_path}/y{{}}", "--", "cat", "{}")), 2, "one FIFO", "y{}", "x{}"
    )
    refused(zcframe(*words(tmp_path, "--", f"{tmp_path}/no-program", "{}")), 1, "cannot be started", "no-program")
    assert left(tmp_path) == ["no-program"]


def test_one_that_ends_before_it_reads_is_told(tmp_path: Path) -> None:
    """The others, which wait, end too."""
    script = "test {} = 1 && exit 7; exec sleep 1000"
    refused(zcframe(*words(tmp_path, "--", "sh", "-c", script)), 1, "share 1", "exit code 7", f"{tmp_path}/x1")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("on_dead", "fate"), [("drop", "what else comes for it is dropped"), ("drain", "its flows go to the others")]
)
def test_one_that_ends_early_loses_its_share_alone(tmp_path: Path, on_dead: str, fate: str) -> None:
    script = 'exec < "$0"; test {} = 1 && head -c 100000 > /dev/null && exit 3; exec cat > /dev/null'
    done = zcframe(*words(tmp_path, "--loop", 10, "--pps", "30k", "--on-dead", on_dead, "--", "sh", "-c", script, "{}"))
    assert done.code == 1
    shares = done.document["outputs"][0]["shares"]
    assert not any("no_reader" in shares[share]["dropped"] for share in (0, 2))
    assert sum(row["offered"] for row in shares) == done.ledger["accepted"]
    assert f"command of share 1 ended with exit code 3 while frames flow: {fate}" in done.stderr
    # With all of its flows it has more frames than share 0.
    assert (shares[1]["offered"] > shares[0]["offered"] / 4) == (on_dead == "drop"), shares


def test_a_run_for_commands_alone_ends_with_them(tmp_path: Path) -> None:
    done = zcframe(
        *words(tmp_path, "--loop", 0, "--pps", "30k", "--", "sh", "-c", "head -c 100000 $0 > /dev/null", "{}")
    )
    assert done.code == 0, done
    assert left(tmp_path) == []


@pytest.mark.parametrize("script", ["exec cat {}x > /dev/null", "cat < $0 > /dev/null; sleep 1000", "sleep 1000"])
def test_interrupted(tmp_path: Path, script: str) -> None:
    """While commands read, while one does not end by itself, and before they read: all end, and so do their children."""
    script = script.replace("{}x", '"$0"')
    with Background(tmp_path, *words(tmp_path, "--loop", 0, "--pps", "10k", "--", "sh", "-c", script, "{}")) as run:
        until(lambda: (tmp_path / "x2").exists())
        time.sleep(1)
        run.signal(signal.SIGINT)
        if script.endswith("null; sleep 1000"):
            time.sleep(1)
            run.signal(signal.SIGINT)
        done = run.finish()
    assert done.code == 0, done
    codes = [row["exit_code"] for row in json.loads(done.stdout)["outputs"][0]["commands"]]
    assert codes == ([0] * 3 if "cat" in script and "sleep" not in script else [-signal.SIGTERM] * 3)
    leave_nothing()
    assert not (tmp_path / "x0").exists()


def test_commands_die_with_the_run(tmp_path: Path) -> None:
    with Background(tmp_path, *words(tmp_path, "--", "sleep", "100{}")) as run:
        until(lambda: (tmp_path / "x2").exists())
        time.sleep(0.5)
        os.kill(run.pid, signal.SIGKILL)
        run.process.wait()
        leave_nothing()


def test_without_such_a_fifo_the_words_are_an_expression(tmp_path: Path) -> None:
    base = ("run", "--json", "--read", BUNDLED, "--queues", 1, "--plugin", "sizes")
    behind = zcframe(*base, "--out", f"pcap:{tmp_path}/x", "--", "udp", "port", 53)
    plain = zcframe(*base, "--filter", "udp port 53")
    assert behind.document["filter"] == plain.document["filter"] == "udp port 53"
    assert behind.ledger["dropped_by"] == plain.ledger["dropped_by"]


def test_the_plan_shows_outputs_and_command(tmp_path: Path) -> None:
    """Nothing is made for it."""
    given = words(tmp_path, "--check", "--out", f"pcap:{tmp_path}/a.pcap", "--", "cat", "{}")
    share = {
        "spec": f"fifo:{tmp_path}/x{{}}",
        "shares": "3",
        "rule": "ip-pair",
        "command": ["cat", "{}"],
        "on_dead": "drop",
    }
    one = {"spec": f"pcap:{tmp_path}/a.pcap", "shares": "", "rule": "", "command": [], "on_dead": ""}
    assert zcframe(*given).document["outputs"] == [share, one]
    text = zcframe(*(word for word in given if word != "--json")).stdout
    assert f"out      {share['spec']}, shared out 3 by ip-pair, each read by cat '{{}}'\n" in text
    assert f"\n         {one['spec']}\n" in text
    assert left(tmp_path) == []
