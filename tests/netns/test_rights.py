"""Captures by root with few capabilities, by a user namespace's root, and by an ordinary user: their workers have none."""

from __future__ import annotations

import grp
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kit.command import PROGRAM, Background, Finished, environment, until, zcframe

pytestmark = pytest.mark.needs("root", "namespaces")

NOBODY = 65534
UP = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
IN_A_USER_NAMESPACE = ["unshare", "--user", "--map-root-user", *UP[1:]]
LO = ("run", "--json", "--stats-interval", 0.05, "--iface", "lo", "--queues", 1, "--plugin", "sizes")
DATAGRAMS = """
import socket
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
for _ in range(3):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes(58), receiver.getsockname())
"""


def rights(process: psutil.Process) -> dict[str, str]:
    """Those of a process, as the kernel tells them."""
    rows = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {name: " ".join(rest.split()) for name, _, rest in (row.partition(":") for row in rows)}


def capture_three(run: Background) -> tuple[Finished, dict[str, str]]:
    """Three frames of 100 bytes in the namespace of a run on lo: how the run ended, and its worker's rights."""
    run.looking()
    until(run.workers, what="a worker that has taken its name")
    found = rights(run.workers()[0])
    subprocess.run(["nsenter", f"--target={run.pid}", "--net", sys.executable, "-c", DATAGRAMS], check=True)
    done = run.wait_for(3).stop()
    assert (done.code, done.ledger["delivered"], done.document["totals"]["bytes"]) == (0, 3, 300)
    return done, found


def check_bare(found: dict[str, str]) -> None:
    assert [int(found[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [0] * 4
    assert found["NoNewPrivs"] == "1"


@pytest.mark.parametrize(
    ("launcher", "uid", "said"),
    [
        (
            [*UP, "setpriv", "--bounding-set=-all,+net_raw", "--inh-caps=-all"],
            0,
            "workers keep group id 0 (CAP_SETGID is missing), user id 0 (CAP_SETUID and CAP_KILL are missing); they"
            " have no capabilities",
        ),
        (
            IN_A_USER_NAMESPACE,
            0,
            f"workers keep group id 0 ({NOBODY}, nobody, is not mapped in this user namespace), user id 0 ({NOBODY},"
            " nobody, is not mapped in this user namespace); they have no capabilities",
        ),
        ([*UP, "setpriv", "--no-new-privs"], NOBODY, ""),
    ],
)
def test_root_captures_with_what_it_has(tmp_path: Path, launcher: Sequence[str], uid: int, said: str) -> None:
    with Background(tmp_path, *LO, launcher=launcher) as run:
        done, found = capture_three(run)
    assert found["Uid"].split()[0] == str(uid)
    check_bare(found)
    told = [line for line in done.stderr.splitlines() if "workers keep" in line and not line.startswith("{")]
    assert told == ([f"zcframe: warning: {said}"] if said else [])


def test_the_software_nic_and_its_workers_have_no_rights_either(tmp_path: Path) -> None:
    with Background(tmp_path, "run", "--json", "--stats-interval", 0.05, "--plugin", "sizes", "--queues", 1) as run:
        run.flowing()
        for process in (run.nic(), *run.workers()):
            check_bare(rights(process))
        assert run.stop().code == 0


def test_workers_cannot_steer_the_traffic_of_xdp(tmp_path: Path) -> None:
    """The supervisor has a map and a program of BPF open, which their workers inherit, and close."""
    near = ["unshare", "--net", "--mount", "sh", "-c", f'{NEAR} && exec "$@"', "sh"]
    words = ("--iface", "near", "--backend", "xdp", "--queues", 1, "--plugin", "sizes", "--ring-slots", 256)
    with Background(tmp_path, "run", "--json", "--stats-interval", 0.05, *words, launcher=near) as run:
        run.looking()
        until(run.workers, what="a worker that has taken its name")
        assert programs_of(run.pid) >= 2
        assert programs_of(run.workers()[0].pid) == 0
        assert run.stop().code == 0


NEAR = (
    "mount -t sysfs sysfs /sys && ip link add near type veth peer name far && ip link set near up && ip link set far up"
)


def programs_of(pid: int) -> int:
    """How many maps, programs and links of BPF a process has open."""
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.startswith("anon_inode:bpf") for link in links)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody reaches, as those of pytest are not."""
    path = Path(tempfile.mkdtemp(prefix="zc"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


GROUP = grp.getgrgid(NOBODY).gr_name
# setpriv itself keeps the capabilities of root until its own execve, which the shell comes after.
AS_USER = ["setpriv", "--reuid=4711", f"--regid={NOBODY}", "--clear-groups", "sh", "-c", 'exec "$@"', "sh"]
AS_STRANGER = ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", "sh", "-c", 'exec "$@"', "sh"]


def plain(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd="/", check=False)


def reachable_python() -> str:
    """An interpreter like ours that an ordinary user may run: ours may lie in the home of root."""
    for path in (os.path.realpath(sys.executable), "/usr/bin/python{}.{}".format(*sys.version_info)):
        if plain(*AS_STRANGER, path, "-c", "").returncode == 0:
            return path
    pytest.skip(f"no ordinary user can run a Python {sys.version_info[0]}.{sys.version_info[1]} of this machine")


@pytest.fixture
def installed(place: Path) -> Path:
    """The Python of an environment that root has made where everybody reaches it, and that zcframe is installed in."""
    assert plain(reachable_python(), "-m", "venv", "--without-pip", place / "venv").returncode == 0
    (packages,) = (place / "venv" / "lib").glob("python*/site-packages")
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    python = place / "venv" / "bin" / "python"
    tried = plain(*AS_STRANGER, python, "-m", "zcframe", "--version")
    checked = setup(place, "--check", python=python)
    if tried.returncode or "belongs to" in checked.stderr or "may write to" in checked.stderr:
        pytest.skip(f"this checkout is not root's for all to read: {tried.stderr or checked.stderr}")
    return python


def setup(place: Path, *words: object, python: object = sys.executable, launcher: Sequence[object] = ()) -> Finished:
    options = ("--dir", place / "capture", "--group", GROUP, *words)
    done = plain(*launcher, python, "-m", "zcframe", "setup-capture", *options)
    return Finished(done.returncode, done.stdout, done.stderr).without_traceback()


def test_a_group_captures_by_a_copy_of_the_interpreter(place: Path, installed: Path, tmp_path: Path) -> None:
    """Made, the same again, used by a member and by nobody else, undone; each look without a trace."""
    copy, command = place / "capture" / "bin" / "python3", place / "capture" / "bin" / "zcframe"
    assert f" to {copy}, root:{GROUP}, mode 0750, cap_net_raw=ep" in setup(place, "--check", python=installed).stdout
    assert not (place / "capture").exists()
    made = setup(place, python=installed)
    assert (made.code, made.stderr) == (0, "")
    again, look = setup(place, python=installed), setup(place, "--check", python=installed)
    assert again.stdout.splitlines()[0] == look.stdout.strip() == "nothing to do"
    assert "Permission denied" in plain(*AS_STRANGER, command, "--version").stderr

    check_copy_captures(command, place, tmp_path)

    assert "would remove" in setup(place, "--undo", "--check").stdout
    assert copy.exists()
    assert (setup(place, "--undo").code, (place / "capture").exists()) == (0, False)
    assert "nothing to undo" in setup(place, "--undo").stdout


def check_copy_captures(command: Path, place: Path, folder: Path) -> None:
    """By the copy, in spite of a PYTHONPATH; its worker has no capability, and is called what workers are called."""
    (place / "zcframe").mkdir()
    (place / "zcframe" / "__init__.py").write_text("raise SystemExit('a stranger in PYTHONPATH')\n")
    cache = place / "cache"
    cache.mkdir()
    os.chown(cache, 4711, NOBODY)
    env = environment(XDG_CACHE_HOME=str(cache), PYTHONPATH=str(place))
    with Background(folder, *LO, launcher=[*UP, *AS_USER], program=[str(command)], env=env) as run:
        _, found = capture_three(run)
    assert (found["Name"], found["Uid"].split()) == ("zc-rx-0", ["4711"] * 4)
    check_bare(found)


def findings(*words: str) -> dict[str, Any]:
    done = subprocess.run([*words, *PROGRAM, "doctor", "--json"], capture_output=True, text=True, check=False)
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_the_doctor_says_what_workers_keep() -> None:
    bare = findings("setpriv", "--bounding-set=-all,+net_raw", "--inh-caps=-all")
    assert (bare["capture"]["state"], bare["workers"]["state"]) == ("ok", "warn")
    assert bare["workers"]["remedy"] == "--cap-add SETGID --cap-add SETUID --cap-add KILL for a container"
    assert findings()["workers"]["state"] == "ok"


@pytest.mark.parametrize("options", ["nosuid", "noexec"])
def test_a_file_system_that_gives_no_capabilities_is_refused(place: Path, options: str) -> None:
    mount = f'mount -t tmpfs -o mode=755,{options} none "$0" && exec "$@"'
    done = setup(place, launcher=["unshare", "--mount", "sh", "-c", mount, str(place)])
    assert done.code == 1
    assert done.complaints == [
        f"zcframe: --dir {place}/capture: its file system is mounted nosuid or noexec, and gives no capability"
    ]


def test_a_place_that_others_may_write_to_is_refused(place: Path) -> None:
    place.chmod(0o777)
    done = setup(place)
    assert (done.code, list(place.iterdir())) == (1, [])
    assert done.complaints[0].startswith(f"zcframe: anybody may write to {place} (chmod o-w): ")
    missing = zcframe("setup-capture", "--group", "no-such-group", "--dir", place / "capture")
    assert (missing.code, "groupadd --system no-such-group" in missing.stderr) == (1, True)
