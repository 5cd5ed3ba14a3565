"""The command line in front of a supervisor that is not there: what it says, where, and the exit code."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import dpkt
import pytest

import zcframe
from tests.kit.runs import FILE, Supervisor, plan, queue_stats, result, snapshot
from zcframe.framework.cli import front, main
from zcframe.framework.errors import PluginCompileError, UsageError
from zcframe.framework.nic import Change
from zcframe.framework.stats import RunResult, SourceInfo

COMMAND = [sys.executable, "-c", "import sys; from zcframe.framework.cli import main; sys.exit(main())"]

Outcome = RunResult | Callable[[], RunResult]
Fake = Callable[..., Supervisor]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    def put(outcome: Outcome | None = None, **more: Any) -> Supervisor:
        instead = Supervisor(outcome or result(), **more)
        module = ModuleType("zcframe.framework.supervisor")
        vars(module).update(run=instead.run, plan=instead.plan)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return instead

    return put


def raising(error: BaseException) -> Callable[[], RunResult]:
    def outcome() -> RunResult:
        raise error

    return outcome


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_help_names_every_command_and_imports_nothing_slow() -> None:
    code = (
        "import sys; from zcframe.framework.cli import main; code = main(['--help']);"
        "print(sorted({'numba', 'numpy', 'rich', 'psutil', 'tomllib'} & set(sys.modules)), code, file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr == "[] 0\n"
    assert all(f"\n  {name} " in found.stdout for name in front.COMMANDS)


@pytest.mark.parametrize("command", front.COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: zcframe {command}")
    assert err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"zcframe {zcframe.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "zcframe: a command is needed: run, plugins, plugin, affinity, doctor, rss"),
        (["rnu"], "zcframe: there is no command 'rnu': did you mean run?"),
        (["--verson"], "zcframe: there is no command '--verson': did you mean --version?"),
        (["xyzzy"], "zcframe: there is no command 'xyzzy' (zcframe --help"),
        (["run", "--quues", "8"], "zcframe: there is no option --quues: did you mean --queues?"),
        (["run", "--plugins=flows"], "zcframe: there is no option --plugins: did you mean --plugin?"),
        (["run", "--que", "8"], "zcframe: there is no option --que"),
        (["run", "--queues"], "zcframe: argument --queues: expected one argument"),
        (["doctor", "stray"], "zcframe: unexpected argument 'stray'"),
        (["run", "--queues", "17"], "zcframe: --queues 17: zcframe has at most 16"),
        (["run", "--config", "nowhere.toml"], "zcframe: --config nowhere.toml: No such file or directory"),
        (["rss", "--quues", "8"], "zcframe: there is no option --quues: did you mean --queues?"),
        (["plugins", "--jsn"], "zcframe: there is no option --jsn"),
        (["rss", "shwo", "lo"], "zcframe: zcframe rss has no verb 'shwo': did you mean show?"),
        (["rss", "show"], "zcframe: the following arguments are required: IFACE"),
        (["rss", "show", "lo", "--jsn"], "zcframe: there is no option --jsn: did you mean --json?"),
        (["rss", "set", "lo"], "zcframe: nothing to set on lo: give --key, --queues, --reta"),
        (["rss", "set", "lo", "--queues", "x"], "zcframe: argument --queues: 'x' is not a number above 0"),
        (["rss", "set", "lo", "--reta", "0,,1"], "zcframe: argument --reta: '0,,1' is not a list of queues"),
        (["run", "--tune", "--read", "a"], "zcframe: --tune: only live capture has it, name an --iface"),
        (["affinity", "--queues", "0"], "zcframe: --queues 0: at least one"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(said)
    assert len(lines(err)) == 1


def test_run_hands_the_whole_configuration_to_the_supervisor(fake: Fake) -> None:
    seen = fake()
    words = "run --queues 4 --read a b --read c --loop 2 --plugin flows --plugin x.py?n=1 --max-loss 0.5 -v --json"
    assert main(words.split()) == 0
    assert seen.config is not None
    assert seen.config.read == ("a", "b", "c")
    assert seen.config.plugins == ("flows", "x.py?n=1")
    assert (seen.config.queues, seen.config.loop, seen.config.max_loss, seen.config.verbose) == (4, 2, 0.5, True)


def test_json_is_one_document_of_the_schema_and_all_else_goes_to_stderr(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(result(2, warnings=["2 queues share CPU 0"]), found=plan())
    assert main(["run", "--json"]) == 0
    out, err = capsys.readouterr()
    assert len(lines(out)) == 1
    document = json.loads(out)
    assert list(document) == [
        *("zcframe", "source", "started", "ended", "time", "elapsed_s", "rss", "queues", "totals"),
        *("faults", "outputs", "rows", "plugins"),
    ]
    assert document["zcframe"] == zcframe.__version__
    assert document["source"] == {
        "kind": "file",
        "names": ["a.pcap"],
        "backend": "soft82576",
        "link_types": ["ETHERNET", "LINUX_SLL"],
    }
    assert list(document["rss"]) == ["key", "fields", "reta"]
    assert len(document["rss"]["reta"]) == 128
    assert len(bytes.fromhex(document["rss"]["key"])) == 40
    queue = document["queues"][1]
    assert list(queue) == [
        "iface",
        "queue",
        "worker",
        "cpu",
        "pid",
        "restarts",
        "restart_ms",
        "packets",
        "bytes",
        "ledger",
    ]
    assert (queue["queue"], queue["cpu"], queue["pid"], queue["packets"]) == (1, 1, 4001, 2000)
    assert list(document["totals"]) == ["restarts", "packets", "bytes", "no_ip", "ledger", "lost"]
    assert document["totals"]["packets"] == 3000
    assert document["totals"]["ledger"]["arrived"] == 3000
    assert document["plugins"]["flows"]["count"] == 3
    assert "no source named: the bundled trace at 100,000 packets a second, for ever, Ctrl-C ends it" in err
    assert "zcframe: warning: 2 queues share CPU 0\n" in err


def test_json_with_an_interval_is_a_line_a_tick_on_stderr(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake(ticks=[snapshot(elapsed_s=1.0), snapshot(elapsed_s=2.0)])
    assert main(["run", "--read", "a.pcap", "--json", "--stats-interval", "1"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["elapsed_s"] for line in lines(err)] == [1.0, 2.0]
    assert len(lines(out)) == 1


def test_times_are_those_of_rfc_3339(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    """In documents UTC, for people local time with its offset; both are read by a program that knows RFC 3339."""
    times = {"started": 1_700_000_000.25, "ended": 1_700_000_002.5, "at": 1_700_000_002.5}
    fake(result(**times), ticks=[snapshot(**times | {"ended": 0.0, "at": 1_700_000_001.0})])
    assert main(["run", "--read", "a.pcap", "--json", "--stats-interval", "1"]) == 0
    assert main(["run", "--read", "a.pcap", "--stats-interval", "1"]) == 0
    out, err = capsys.readouterr()
    last, tick = json.loads(lines(out)[0]), json.loads(lines(err)[0])
    assert last["started"] == tick["started"] == "2023-11-14T22:13:20.250Z"
    assert (last["ended"], last["time"]) == ("2023-11-14T22:13:22.500Z",) * 2
    assert (tick["ended"], tick["time"]) == (None, "2023-11-14T22:13:21.000Z")
    said = re.search(r"^started (\S+), ended (\S+)$", out, re.MULTILINE)
    assert said is not None
    assert [datetime.fromisoformat(time).timestamp() for time in said.groups()] == [1_700_000_000, 1_700_000_002]
    assert datetime.fromisoformat(lines(err)[1].split()[0]).timestamp() == 1_700_000_001


def test_json_without_an_interval_has_no_line_a_tick(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake(ticks=[snapshot()])
    assert main(["run", "--read", "a.pcap", "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_whatever_a_plugin_reports_the_document_is_strict_json(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    report = {
        "mean": float("nan"),
        "array": np.arange(3),
        "scalar": np.uint64(2**63),
        "raw": b"\x01\xff",
        "by_port": {np.int64(80): 1, 443: 2},
        "names": {"é\ud800"},
        "none": None,
    }
    fake(result(plugins={"odd": report}))
    assert main(["run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))["plugins"]["odd"]
    assert found == {
        "mean": None,
        "array": [0, 1, 2],
        "scalar": 2**63,
        "raw": "01ff",
        "by_port": {"80": 1, "443": 2},
        "names": ["é\ud800"],
        "none": None,
    }


def test_without_a_terminal_the_summary_comes_at_the_end_and_nothing_else(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(ticks=[snapshot()])
    assert main(["run", "--read", "a.pcap"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert "file a.pcap (soft82576, ETHERNET, LINUX_SLL)" in out
    assert "36,000 packets, 28,800,000 bytes in 2.000 s: 18,000 packets/s, 115.2 Mb/s" in out
    assert "lost 0 of 36,000 frames (0.0000%)" in out
    assert "DOES NOT CLOSE" not in out


def test_the_summary_names_causes_and_says_when_the_ledger_does_not_close(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    good = queue_stats(0, 100, ring_full=25)
    ledger = replace(
        good.ledger, accepted=80, dropped_by={"filter": 5, "synflood": 4}, faulted=10, faulted_by={"own": 10}
    )
    fake(result(queues=[replace(good, ledger=ledger)]))
    assert main(["run", "--read", "a.pcap"]) == 0
    out = capsys.readouterr().out
    assert "dropped by filter 5, synflood 4\n" in out
    assert "faulted by own 10\n" in out
    assert "lost 25 of 125 frames (20.0000%)" in out
    assert "THE LEDGER DOES NOT CLOSE" in out


def test_frames_in_flight_are_lost_at_the_end_and_not_before(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    """34 that arrived and no plugin saw, and 10 that found no room."""
    good = queue_stats(0, 100)
    queues = [replace(good, ledger=replace(good.ledger, arrived=144, ring_full=10, in_flight=34))]
    fake(result(queues=queues, final=True), ticks=[snapshot(queues=queues)])
    words = ["run", "--read", "a.pcap", "--stats-interval", "1", "--max-loss"]
    assert [main([*words, "0.3"]), main([*words, "0.31"])] == [3, 0]
    out, err = capsys.readouterr()
    assert "lost 44 of 144 frames (30.5556%), 34 of them in flight when the run ended" in out
    assert "lost 10 (6.94%)" in err
    fake(result(queues=queues, final=True))
    main(["run", "--read", "a.pcap", "--json"])
    totals = json.loads(capsys.readouterr().out)["totals"]
    assert (totals["lost"], totals["ledger"]["in_flight"]) == (44, 34)


def test_an_interval_without_a_terminal_is_a_line_of_text_a_tick(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(ticks=[snapshot(elapsed_s=1.0)])
    assert main(["run", "--read", "a.pcap", "--stats-interval", "1"]) == 0
    assert lines(capsys.readouterr().err) == ["1.0 s  36,000 packets  28,800,000 bytes  lost 0 (0.00%)"]


def test_a_failed_run_still_prints_its_document_and_then_the_cause(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(result(exit_code=1, error="a.pcap: cut in the middle of record 7", details="offset 1234"))
    assert main(["run", "--json", "--read", "a.pcap"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["totals"]["packets"] == 36000
    assert lines(err) == ["zcframe: a.pcap: cut in the middle of record 7", "zcframe: -v shows more"]


@pytest.mark.parametrize(
    ("max_loss", "code"), [(None, 0), ("0.1", 0), ("0.09", 3), ("0", 3), ("1", 0)], ids=lambda value: str(value)
)
def test_loss_above_the_bound_is_exit_code_3(
    max_loss: str | None, code: int, fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(result(queues=[queue_stats(0, 900, ring_full=100)]))
    given = ["--max-loss", max_loss] if max_loss else []
    assert main(["run", "--read", "a.pcap", *given]) == code
    assert ("more than --max-loss" in capsys.readouterr().err) == (code == 3)


def test_a_failure_outranks_the_loss(fake: Fake) -> None:
    fake(result(queues=[queue_stats(0, 900, ring_full=100)], exit_code=1, error="the software NIC died"))
    assert main(["run", "--read", "a.pcap", "--max-loss", "0"]) == 1


@pytest.mark.parametrize("error", [UsageError("--cpus 99: there is no CPU 99"), PluginCompileError("own.py:3: no")])
def test_an_error_of_ours_is_one_line_with_its_exit_code(
    error: UsageError | PluginCompileError, fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(raising(error))
    assert main(["run", "--read", "a.pcap"]) == error.exit_code
    assert capsys.readouterr().err == f"zcframe: {error}\n"


def test_details_are_shown_with_v_only(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake(raising(PluginCompileError("own.py:3: no", details="numba says\nmuch")))
    assert main(["run", "--read", "a.pcap"]) == 1
    assert lines(capsys.readouterr().err) == ["zcframe: own.py:3: no", "zcframe: -v shows more"]
    assert main(["run", "--read", "a.pcap", "-v"]) == 1
    assert lines(capsys.readouterr().err) == ["zcframe: own.py:3: no", "numba says", "much"]


def test_a_bug_is_one_line_and_a_traceback_with_v(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake(raising(KeyError("no\nsuch")))
    assert main(["run", "--read", "a.pcap"]) == 1
    err = lines(capsys.readouterr().err)
    assert len(err) == 1
    assert err[0].startswith("zcframe: this is a bug in zcframe, -v shows where: KeyError:")
    assert main(["run", "--read", "a.pcap", "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_before_the_first_packet_is_no_failure(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake(raising(KeyboardInterrupt()))
    assert main(["run", "--read", "a.pcap"]) == 0
    assert capsys.readouterr().err == "zcframe: ended before the first packet\n"


def test_sigterm_before_the_supervisor_has_it_ends_the_command_as_ctrl_c_does(fake: Fake) -> None:
    def outcome() -> RunResult:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal did nothing")

    fake(outcome)
    assert main(["run", "--read", "a.pcap"]) == 0
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_check_prints_the_plan_and_runs_nothing(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake(raising(AssertionError("it ran")), found=plan(FILE, loop=1, warnings=("8 queues share 2 CPUs",)))
    assert main(["run", "--read", "a.pcap", "--check"]) == 0
    out, err = capsys.readouterr()
    assert "source   file a.pcap (soft82576" in out
    assert "pace     100,000 packets a second, once" in out
    assert "cpus     0:0  1:1  2:0" in out
    assert "plugins  flows top=20  (zcframe.plugins.flows)" in out
    assert err == "zcframe: warning: 8 queues share 2 CPUs\n"


def test_check_with_json_is_one_document(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake(found=plan(FILE, loop=1))
    assert main(["run", "--read", "a.pcap", "--check", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["queues"][3] == {"iface": "", "queue": 3, "worker": 3, "cpu": 1}
    assert document["plugins"][0] == {"name": "flows", "params": {"top": 20}, "origin": "zcframe.plugins.flows"} | {
        "state": {"bytes": 0, "shards": 0, "rows": {}, "lookups": {}}
    }


def test_check_and_a_run_print_what_is_tuned(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    path = "/sys/class/net/zc0/gro_flush_timeout"
    coalesce = Change("coalesce", {"rx_usecs": 3}, {"rx_usecs": 50}, "steady")
    found = plan(SourceInfo("iface", ("zc0",), "zerocopy"), tuning=(Change(path, "0", "1000", "a timer"), coalesce))
    fake(found=found)
    assert main(["run", "--iface", "zc0", "--tune", "--check"]) == 0
    shown = lines(capsys.readouterr().out)
    assert shown[-2:] == [
        f"tune     {path}: 0 -> 1000  (a timer)",
        "         coalesce: rx_usecs=3 -> rx_usecs=50  (steady)",
    ]
    assert main(["run", "--iface", "zc0", "--tune", "--check", "--json"]) == 0
    (first, _) = json.loads(capsys.readouterr().out)["tuning"]
    assert first == {"name": path, "before": "0", "after": "1000", "why": "a timer"}
    assert main(["run", "--iface", "zc0", "--tune", "--json"]) == 0
    assert f"zcframe: tune: {path}: 0 -> 1000  (a timer)" in lines(capsys.readouterr().err)


def test_plugins_are_listed_with_parameters_and_docs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from zcframe.framework.chain import catalog

    params = [catalog.ParamInfo("top", 20, "flows in the report")]
    info = catalog.PluginInfo("flows", "Bidirectional flows.", params, "zcframe.plugins.flows")
    monkeypatch.setattr(catalog, "installed", lambda: [info, info])
    assert main(["plugins"]) == 0
    assert lines(capsys.readouterr().out)[:4] == [
        "flows  (zcframe.plugins.flows)",
        "    Bidirectional flows.",
        "      ?top=20",
        "          flows in the report",
    ]


def test_affinity_prints_where_each_queue_would_go(capsys: pytest.CaptureFixture[str]) -> None:
    cpu = min(os.sched_getaffinity(0))
    assert main(["affinity", "--queues", "3", "--cpus", str(cpu)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split()[:5] for line in lines(out) if "->" in line] == [
        ["worker", str(worker), "->", "CPU", str(cpu)] for worker in range(3)
    ]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Forty TCP frames of 60 bytes and more, written by dpkt."""
    path = tmp_path / "a.pcap"
    with path.open("wb") as stream:
        writer = dpkt.pcap.Writer(stream)
        for port in range(40):
            segment = dpkt.tcp.TCP(sport=port, dport=80, data=bytes(port))
            packet = dpkt.ip.IP(src=b"\x0a\0\0\1", dst=b"\x0a\0\0\2", p=6, data=segment)
            packet.len = len(packet)
            writer.writepkt(bytes(dpkt.ethernet.Ethernet(data=packet)), ts=1.0)
    return path


def test_rss_predicts_the_balance_of_a_file(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rss", "--read", str(capture), "--queues", "4", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert (found["packets"], found["bytes"], len(found["queues"])) == (40, 40 * 54 + sum(range(40)), 4)
    assert sum(queue["packets"] for queue in found["queues"]) == 40
    assert (found["flows"]["count"], found["flows"]["one_sided_share"]) == (40, 1.0)


def test_rss_counts_a_damaged_file_up_to_the_damage_and_fails(
    capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture.write_bytes(capture.read_bytes()[:-1])
    assert main(["rss", "--read", str(capture)]) == 1
    out, err = capsys.readouterr()
    assert "39 packets" in out
    assert err.startswith(f"zcframe: {capture} is cut short")
    assert len(lines(err)) == 1


def test_rss_of_no_file_at_all_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rss", "--read", "nowhere.pcap"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "zcframe: cannot open nowhere.pcap: No such file or directory\n"


def test_a_reader_that_left_is_no_traceback() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    found = subprocess.run([*COMMAND, "--help"], stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (found.returncode, found.stderr) == (1, "")


@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_disk_under_stdout_is_one_line(buffered: str) -> None:
    environment = os.environ | {"PYTHONUNBUFFERED": buffered}
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            [*COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment
        )
    said = "zcframe: the system refused: [Errno 28] No space left on device\n"
    assert (found.returncode, found.stderr) == (1, said)


def test_a_terminal_that_knows_only_ascii_gets_the_summary_too() -> None:
    from zcframe.framework.show.summary import SummaryObserver

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    SummaryObserver(stream).finished(result())
    stream.seek(0)
    assert "flows" in stream.read()
