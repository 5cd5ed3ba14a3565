"""State files of changed interfaces, on machines made of files: who holds one, what is put back, and what is refused."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zcframe.framework.errors import NicError
from zcframe.framework.nic import Hold, held, hold, hold_by_hand, restore
from zcframe.framework.nic.settings import setting
from zcframe.framework.nic.settings.hold import in_passes
from zcframe.framework.nic.settings.record import started_at

hold_module = sys.modules["zcframe.framework.nic.settings.hold"]
THREADED, TIMEOUT = "/sys/class/net/eth0/threaded", "/sys/class/net/eth0/gro_flush_timeout"


class Machine:
    """A made-up tree with one interface, and a folder of state files."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "root", folder / "state"
        self.put("sys/class/net/eth0/address", "02:00:00:00:00:07")
        self.put("sys/class/net/eth0/ifindex", "7")
        self.put(THREADED, "0")
        self.put(TIMEOUT, "20000")

    def put(self, path: str, text: str) -> None:
        (self.root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path.lstrip("/")).write_text(f"{text}\n")

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text().strip()

    @property
    def file(self) -> Path:
        return self.state / "eth0.json"

    def left_by(self, pid: int, started: int) -> None:
        """As if that process had held the interface, and had changed it."""
        holding = hold("eth0", self.state, self.root)
        holding.change(THREADED, "1")
        record = json.loads(self.file.read_text())
        self.file.write_text(json.dumps(record | {"pid": pid, "started": started}))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def dead() -> int:
    """Number of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_what_was_there_is_on_file_before_it_is_changed(machine: Machine) -> None:
    holding = hold("eth0", machine.state, machine.root)
    holding.change(TIMEOUT, "1000")
    record = json.loads(machine.file.read_text())
    assert record["before"] == {TIMEOUT: "20000"}
    assert (record["ifname"], record["ifindex"], record["mac"]) == ("eth0", 7, "02:00:00:00:00:07")
    assert (record["pid"], record["started"]) == (os.getpid(), started_at(os.getpid()))
    assert machine.read(TIMEOUT) == "1000"


def refuse(machine: Machine, path: str) -> str:
    """Have the kernel refuse each write to a file, whatever it is; returns what the file shows."""
    (machine.root / path.lstrip("/")).unlink()
    (machine.root / path.lstrip("/")).symlink_to("/proc/version")
    return machine.read(path)


def test_it_is_on_file_while_the_change_is_tried_and_off_it_once_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def write(ifname: str, name: str, value: str, root: Path) -> None:
        seen.append(json.loads(machine.file.read_text())["before"])
        setting.write_setting(ifname, name, value, root)

    monkeypatch.setattr(hold_module, "write_setting", write)
    holding = hold("eth0", machine.state, machine.root)
    holding.change(TIMEOUT, "1000")
    shown = refuse(machine, THREADED)
    with pytest.raises(OSError):
        holding.change(THREADED, "1")
    assert seen == [{TIMEOUT: "20000"}, {TIMEOUT: "20000", THREADED: shown}]
    assert json.loads(machine.file.read_text())["before"] == {TIMEOUT: "20000"}
    holding.undo()
    assert held(machine.state, machine.root) == []


def test_a_refusal_that_left_another_value_is_put_back(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a driver does that takes a part, or the nearest value that it can."""

    def write(ifname: str, name: str, value: str, root: Path) -> None:
        machine.put(name, value if value == "20000" else "512")
        if value != "20000":
            raise NicError(f"{name} stays at 512, not {value}")

    monkeypatch.setattr(hold_module, "write_setting", write)
    holding = hold("eth0", machine.state, machine.root)
    assert list(holding.change_all({TIMEOUT: "1000"})) == [TIMEOUT]
    assert json.loads(machine.file.read_text())["before"] == {TIMEOUT: "20000"}
    holding.undo()
    assert (machine.read(TIMEOUT), held(machine.state, machine.root)) == ("20000", [])


def test_a_value_that_is_there_already_is_put_back_without_a_write(machine: Machine, dead: int) -> None:
    """A run was killed between the file and the write, or a driver has taken it back itself."""
    machine.left_by(dead, 1)
    shown = refuse(machine, THREADED)
    record = json.loads(machine.file.read_text())
    machine.file.write_text(json.dumps(record | {"before": {THREADED: shown}}))
    (line,) = restore("eth0", machine.state, machine.root)
    assert "put back what was changed by a run that was killed" in line
    assert held(machine.state, machine.root) == []


@pytest.mark.parametrize("by", [hold, hold_by_hand])
def test_what_a_dead_holder_left_and_nobody_can_put_back_is_the_next_ones(
    machine: Machine, dead: int, by: Callable[[str, Path, Path], Hold]
) -> None:
    machine.left_by(dead, 1)
    refuse(machine, THREADED)
    holding = by("eth0", machine.state, machine.root)
    assert f"eth0 cannot be put back: {THREADED}: " in holding.restored
    assert "zcframe rss restore eth0 tries again" in holding.restored
    holding.change(TIMEOUT, "1000")
    (file,) = machine.state.glob("**/*.json")
    assert json.loads(file.read_text())["before"] == {THREADED: "0", TIMEOUT: "20000"}
    with pytest.raises(NicError, match=f"eth0 cannot be put back: {THREADED}: "):
        holding.undo()
    assert json.loads(file.read_text())["before"] == {THREADED: "0"}
    machine.root.joinpath(THREADED.lstrip("/")).unlink()
    machine.put(THREADED, "1")
    holding.undo()
    assert (machine.read(THREADED), held(machine.state, machine.root)) == ("0", [])


def test_what_is_put_back_early_is_looked_at_again(machine: Machine) -> None:
    holding = hold("eth0", machine.state, machine.root)
    holding.change_all({TIMEOUT: "1000", THREADED: "1"})
    before = json.loads(machine.file.read_text())
    holding.put_back_early()
    assert (machine.read(TIMEOUT), machine.read(THREADED)) == ("20000", "0")
    assert json.loads(machine.file.read_text()) == before
    machine.put(TIMEOUT, "7")
    holding.undo()
    assert (machine.read(TIMEOUT), held(machine.state, machine.root)) == ("20000", [])


def test_a_folder_without_room_is_named_and_nothing_is_changed(machine: Machine) -> None:
    holding = hold("eth0", machine.state, machine.root)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(NicError, match=f"cannot keep in {machine.file} what is to be put back: File too large"):
            holding.change(THREADED, "1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert machine.read(THREADED) == "0"
    assert [path.name for path in machine.state.iterdir() if path.is_file()] == ["eth0.json"]
    holding.undo()


def test_the_folder_and_its_files_are_for_nobody_else(machine: Machine) -> None:
    hold("eth0", machine.state, machine.root)
    assert (machine.state.stat().st_mode & 0o777, machine.file.stat().st_mode & 0o777) == (0o700, 0o600)
    machine.state.chmod(0o777)
    with pytest.raises(NicError, match="not this user's alone"):
        hold("eth0", machine.state, machine.root)


def test_undo_puts_back_the_first_value_and_removes_the_file(machine: Machine) -> None:
    holding = hold("eth0", machine.state, machine.root)
    for value in ("1000", "3000"):
        holding.change(TIMEOUT, value)
    holding.undo()
    holding.undo()
    assert machine.read(TIMEOUT) == "20000"
    assert held(machine.state, machine.root) == []


def test_the_last_change_is_undone_first(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a link is taken down last, once all that needs it up is put back."""
    written: list[tuple[str, str]] = []

    def write(ifname: str, name: str, value: str, root: Path) -> None:
        written.append((name, value))
        setting.write_setting(ifname, name, value, root)

    monkeypatch.setattr(hold_module, "write_setting", write)
    holding = hold("eth0", machine.state, machine.root)
    for name in (TIMEOUT, THREADED):
        holding.change(name, "7")
    holding.undo()
    assert written == [(TIMEOUT, "7"), (THREADED, "7"), (THREADED, "0"), (TIMEOUT, "20000")]


def test_the_start_of_a_process_is_that_of_ps() -> None:
    told = subprocess.run(["ps", "-o", "etimes=", "-p", "1"], capture_output=True, text=True, check=True).stdout
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    started = started_at(1)
    assert started is not None
    assert abs(uptime - int(told) - started / os.sysconf("SC_CLK_TCK")) < 3


def test_a_living_holder_is_not_disturbed(machine: Machine) -> None:
    hold("eth0", machine.state, machine.root).change(THREADED, "1")
    for take in (hold, hold_by_hand, restore):
        with pytest.raises(NicError, match=f"held by another run, pid {os.getpid()}"):
            take("eth0", machine.state, machine.root)
    assert machine.read(THREADED) == "1"


def test_what_a_dead_holder_left_is_put_back_first(machine: Machine, dead: int) -> None:
    machine.left_by(dead, 1)
    holding = hold("eth0", machine.state, machine.root)
    assert f"a run that was killed (pid {dead})" in holding.restored
    assert machine.read(THREADED) == "0"
    assert json.loads(machine.file.read_text())["pid"] == os.getpid()


def test_a_pid_that_has_a_new_owner_is_a_dead_holder(machine: Machine) -> None:
    machine.left_by(os.getpid(), 1)
    assert len(restore("eth0", machine.state, machine.root)) == 1
    assert machine.read(THREADED) == "0"


def test_a_process_that_nobody_buried_is_dead(machine: Machine) -> None:
    process = subprocess.Popen(["sleep", "60"])
    started = started_at(process.pid)
    assert started is not None
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{process.pid}/stat").exists()
    assert started_at(process.pid) is None
    process.wait()


def test_what_was_set_by_hand_stays_below_a_run(machine: Machine) -> None:
    hold_by_hand("eth0", machine.state, machine.root).change(TIMEOUT, "1000")
    hold_by_hand("eth0", machine.state, machine.root).change(TIMEOUT, "2000")
    running = hold("eth0", machine.state, machine.root)
    running.change(TIMEOUT, "3000")
    running.undo()
    assert machine.read(TIMEOUT) == "2000"
    (line,) = restore("eth0", machine.state, machine.root)
    assert "rss set" in line
    assert machine.read(TIMEOUT) == "20000"
    assert restore("eth0", machine.state, machine.root) == []


def test_changes_together_are_all_made_or_none_is(machine: Machine) -> None:
    holding = hold_by_hand("eth0", machine.state, machine.root)
    holding.change_together({TIMEOUT: "1000"})
    (machine.root / THREADED.lstrip("/")).unlink()
    (machine.root / THREADED.lstrip("/")).symlink_to("/proc/version")
    with pytest.raises(NicError, match=THREADED):
        holding.change_together({TIMEOUT: "2000", THREADED: "1"})
    assert machine.read(TIMEOUT) == "1000"
    assert json.loads((machine.state / "set" / "eth0.json").read_text())["before"] == {TIMEOUT: "20000"}


def test_what_is_as_it_was_is_forgotten(machine: Machine) -> None:
    holding = hold_by_hand("eth0", machine.state, machine.root)
    holding.change_together({TIMEOUT: "1000", THREADED: "1"})
    holding.change_together({THREADED: "0"})
    assert json.loads((machine.state / "set" / "eth0.json").read_text())["before"] == {TIMEOUT: "20000"}
    holding.change_together({TIMEOUT: "20000"})
    assert held(machine.state, machine.root) == []


@pytest.mark.parametrize(
    ("fact", "value", "said"), [("address", "02:00:00:00:00:08", "replaced"), ("ifindex", "8", "gone")]
)
def test_another_interface_of_the_same_name_is_left_alone(
    machine: Machine, dead: int, fact: str, value: str, said: str
) -> None:
    machine.left_by(dead, 1)
    machine.put(f"sys/class/net/eth0/{fact}", value)
    (line,) = restore("eth0", machine.state, machine.root)
    assert said in line
    assert machine.read(THREADED) == "1"
    assert held(machine.state, machine.root) == []


def test_a_renamed_interface_is_named_with_the_remedy(machine: Machine, dead: int) -> None:
    machine.left_by(dead, 1)
    net = machine.root / "sys/class/net"
    (net / "eth0").rename(net / "cap0")
    with pytest.raises(NicError, match="called cap0 now: ip link set cap0 name eth0"):
        restore("eth0", machine.state, machine.root)
    (net / "cap0").rename(net / "eth0")
    restore("eth0", machine.state, machine.root)
    assert machine.read(THREADED) == "0"


def test_a_setting_that_is_gone_needs_nothing_and_one_that_is_refused_stays_on_file(machine: Machine) -> None:
    holding = hold("eth0", machine.state, machine.root)
    for name, value in ((THREADED, "1"), (TIMEOUT, "1000")):
        holding.change(name, value)
    (machine.root / THREADED.lstrip("/")).unlink()
    (machine.root / TIMEOUT.lstrip("/")).unlink()
    (machine.root / TIMEOUT.lstrip("/")).mkdir()
    with pytest.raises(NicError, match=f"eth0 cannot be put back: {TIMEOUT}: Is a directory"):
        holding.undo()
    assert json.loads(machine.file.read_text())["before"] == {TIMEOUT: "20000"}


def test_a_change_that_cannot_be_made_is_told_and_the_others_are_made(machine: Machine) -> None:
    holding = hold("eth0", machine.state, machine.root)
    refused = holding.change_all({"/sys/class/net/eth0/none": "1", THREADED: "1"})
    assert refused == {"/sys/class/net/eth0/none": "/sys/class/net/eth0/none: No such file or directory"}
    assert machine.read(THREADED) == "1"


def test_settings_that_lean_on_others_are_written_after_them() -> None:
    written: list[str] = []

    def write(name: str, value: int) -> None:
        if name == "table" and "channels" not in written:
            raise NicError("there is no such queue")
        written.append(name)

    assert in_passes({"table": 1, "channels": 2}, write) == {}
    assert written == ["channels", "table"]
    written.clear()
    assert in_passes({"table": 1, "rings": 2}, write) == {"table": "there is no such queue"}


def test_some_changes_are_undone_before_the_rest(machine: Machine) -> None:
    holding = hold("eth0", machine.state, machine.root)
    holding.change(TIMEOUT, "1000")
    holding.change(THREADED, "1")
    assert holding.put_back([THREADED, "/never/changed"]) == {}
    assert (machine.read(THREADED), machine.read(TIMEOUT)) == ("0", "1000")
    assert json.loads(machine.file.read_text())["before"] == {TIMEOUT: "20000"}


def test_a_value_that_was_taken_and_not_kept_is_told(machine: Machine) -> None:
    """As an interrupt does whose interface is down."""
    holding = hold("eth0", machine.state, machine.root)
    irq = "/proc/irq/26/smp_affinity_list"
    (machine.root / irq.lstrip("/")).parent.mkdir(parents=True)
    (machine.root / irq.lstrip("/")).symlink_to("/dev/null")
    refused = holding.change_all({irq: "2"})
    assert refused == {irq: f"{irq} stays at , not 2: it moves only while its interface is up"}
    assert json.loads(machine.file.read_text())["before"] == {}


def test_a_damaged_file_is_named(machine: Machine) -> None:
    hold("eth0", machine.state, machine.root)
    machine.file.write_text('{"ifname": "eth0"')
    with pytest.raises(NicError, match=f"{machine.file} is damaged"):
        restore("eth0", machine.state, machine.root)


def test_a_folder_that_cannot_be_made(machine: Machine) -> None:
    machine.state.write_text("")
    with pytest.raises(NicError, match="cannot keep in"):
        hold("eth0", machine.state, machine.root)
