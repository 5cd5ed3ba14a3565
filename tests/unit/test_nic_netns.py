"""Network namespaces: their names, which of them are gone, and records of interfaces that came from another one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from zcframe.framework.nic import held, hold, restore
from zcframe.framework.nic.link import netns
from zcframe.framework.nic.link.netns import inode_of, known_gone, namespace_key
from zcframe.framework.nic.settings.elsewhere import foreign, forget_gone

CARD = "0000:02:00.0"
TIMEOUT = "/sys/class/net/{}/gro_flush_timeout"
TOLD = "from zcframe.framework.nic.link.netns import namespace_key; print(namespace_key())"


def key_in(*launcher: str) -> str:
    done = subprocess.run([*launcher, sys.executable, "-c", TOLD], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.needs("root", "namespaces")
def test_each_namespace_has_a_name_of_its_own_that_stays() -> None:
    with subprocess.Popen(["unshare", "--net", "sleep", "600"]) as holder:
        try:
            here = os.stat("/proc/self/ns/net").st_ino
            while os.stat(f"/proc/{holder.pid}/ns/net").st_ino == here:
                assert holder.poll() is None
            inside = ("nsenter", f"--target={holder.pid}", "--net")
            keys = [key_in(*inside), key_in(*inside), key_in("unshare", "--net")]
            assert inode_of(keys[0]) == os.stat(f"/proc/{holder.pid}/ns/net").st_ino
        finally:
            holder.kill()
    assert keys[0] == keys[1]
    assert len({*keys, namespace_key()}) == 3
    assert all(re.fullmatch(r"netns-\d+-\d+", key) for key in keys)


def test_the_first_namespace_is_that_of_the_first_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "FIRST_PIDS", 1)
    for cookie, first in ((netns.FIRST_COOKIE, True), (netns.FIRST_COOKIE + 1, False)):
        monkeypatch.setattr(netns, "_cookie", lambda cookie=cookie: cookie)
        assert (namespace_key() == netns.FIRST) == first


def test_a_kernel_without_cookies_has_inodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first one is that of pid 1, if this is the first PID namespace: nobody but root can tell."""
    monkeypatch.setattr(netns, "_cookie", lambda: netns.UNKNOWN)
    own = os.stat("/proc/self/ns/net").st_ino
    assert namespace_key() in (netns.FIRST, f"netns-0-{own}")
    for name in ("thread-self/ns/net", "1/ns/net", "self/ns/pid"):
        (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / "thread-self/ns/net").write_text("")
    os.link(tmp_path / "thread-self/ns/net", tmp_path / "1/ns/net")
    (tmp_path / "self/ns/pid").write_text("")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert namespace_key(tmp_path).startswith("netns-0-")
    monkeypatch.setattr(netns, "FIRST_PIDS", os.stat(tmp_path / "self/ns/pid").st_ino)
    assert namespace_key(tmp_path) == netns.FIRST


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up /proc: a process in namespace 11, one that has 12 open, one that sees 13 mounted; all are seen."""
    root = tmp_path / "proc"
    for pid, link in ((1, "ns/net"), (2, "fd/5")):
        (root / str(pid) / link).parent.mkdir(parents=True)
        (root / str(pid) / link).symlink_to(f"net:[{10 + pid}]")
    (root / "3").mkdir()
    (root / "3/mountinfo").write_text(
        "24 1 0:4 net:[4026531840] /run/netns/old rw - nsfs nsfs rw\n25 1 0:4 net:[13] /run/netns/b rw - nsfs nsfs rw\n"
    )
    (root / "self/ns").mkdir(parents=True)
    (root / "self/ns/pid").write_text("")
    monkeypatch.setattr(netns, "FIRST_PIDS", os.stat(root / "self/ns/pid").st_ino)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return root


def test_a_namespace_is_gone_if_nobody_is_in_it_or_has_it(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {f"netns-{cookie}-{inode}" for cookie, inode in ((5, 11), (6, 12), (7, 13), (8, 14), (9, 0))}
    assert known_gone(keys, proc) == {"netns-8-14"}
    monkeypatch.setattr(netns, "FIRST_PIDS", 1)
    assert known_gone(keys, proc) == set()


class Space:
    """A made-up network namespace with its own folder of records, and one card, of a machine that others are on, too."""

    def __init__(self, folder: Path, key: str) -> None:
        self.root, self.state = folder / f"root-{key}", folder / "run" / key
        (self.root / "sys/bus/pci/devices" / CARD / "driver").mkdir(parents=True)

    def add(self, name: str, index: int, mac: str = "02:00:00:00:00:07", timeout: str = "20000") -> None:
        folder = self.root / "sys/class/net" / name
        folder.mkdir(parents=True)
        for fact, text in (("ifindex", str(index)), ("address", mac), ("gro_flush_timeout", timeout)):
            (folder / fact).write_text(f"{text}\n")

    def add_card(self, name: str, index: int, timeout: str = "20000") -> None:
        self.add(name, index, timeout=timeout)
        (self.root / "sys/class/net" / name / "device").symlink_to(self.root / "sys/bus/pci/devices" / CARD)

    def tune(self, name: str) -> None:
        """As a run that is killed."""
        hold(name, self.state, self.root).change(TIMEOUT.format(name), "1000")
        path = self.state / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"started": 1}))

    def read(self, name: str) -> str:
        return (self.root / TIMEOUT.format(name)[1:]).read_text().strip()


@pytest.fixture
def spaces(tmp_path: Path) -> tuple[Space, Space]:
    return Space(tmp_path, "netns-5-11"), Space(tmp_path, "netns-6-14")


def test_a_card_that_was_moved_is_put_back_where_it_is(spaces: tuple[Space, Space]) -> None:
    """Its place on the bus proves that it is the same one, whatever it is called there."""
    before, after = spaces
    before.add_card("eth0", 2)
    before.tune("eth0")
    (before.root / "sys/class/net/eth0/device").unlink()
    (before.root / "sys/class/net/eth0").rename(before.root / "gone")
    with pytest.raises(Exception, match=rf"eth0 \({CARD}\) was changed, and is in another network namespace now"):
        restore("eth0", before.state, before.root)
    after.add_card("lan7", 5, timeout="1000")
    assert held(after.state, after.root) == ["lan7"]
    (line,) = restore("lan7", after.state, after.root)
    assert TIMEOUT.format("lan7") in line
    assert after.read("lan7") == "20000"
    assert held(before.state, before.root) == held(after.state, after.root) == []
    assert not before.state.exists()


def test_a_virtual_interface_that_looks_the_same_is_left_alone(spaces: tuple[Space, Space]) -> None:
    one, other = spaces
    one.add("veth0", 2)
    other.add("veth0", 2, timeout="1000")
    one.tune("veth0")
    assert restore("veth0", other.state, other.root) == []
    assert other.read("veth0") == "1000"
    assert [str(found) for found in foreign(other.state)] == ["veth0 in network namespace 11"]
    assert len(restore("veth0", one.state, one.root)) == 1
    assert foreign(other.state) == []


def test_records_of_a_namespace_that_is_gone_are_dropped(spaces: tuple[Space, Space], proc: Path) -> None:
    living, gone = spaces
    for space in spaces:
        space.add("veth0", 2)
        space.tune("veth0")
    assert forget_gone(living.state, proc) == [("netns-6-14", ("veth0",))]
    assert not gone.state.exists()
    assert held(living.state, living.root) == ["veth0"]
    assert forget_gone(living.state, proc) == []
