"""The findings of `zcframe doctor`, on machines made of files whose kernel answers as it is told."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.kit.sysfs import add_function, add_interface, files
from zcframe.framework import abi
from zcframe.framework.cli.front import main
from zcframe.framework.errors import NicError
from zcframe.framework.health import Check, Host, examine
from zcframe.framework.health.host import AF_XDP
from zcframe.framework.nic.ethtool.offload import Offloads
from zcframe.framework.sources.backends import choose_backend

CARD = "0000:02:00.0"
# CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF.
CAPABLE = f"{1 << 12 | 1 << 13 | 1 << 39:016x}"
NET_RAW = f"{1 << 13:016x}"

SOUND = {
    "proc/sys/kernel/osrelease": "6.12.95+deb12-amd64\n",
    "proc/self/status": f"Name:\tx\nCapEff:\t{CAPABLE}\n",
    "proc/self/limits": "Limit  Soft  Hard  Units\nMax locked memory         268435456             268435456             bytes\n",
    "proc/7/comm": "bash\n",
    "proc/interrupts": " 24:  1  PCI-MSIX  0-edge  zc0-rxtx-0\n",
    "proc/irq/24/smp_affinity_list": "3\n",
    "sys/module/pf_zerocopy/parameters/family": "25\n",
    "sys/module/pf_zerocopy/parameters/abi": f"{abi.VERSION}\n",
    "sys/module/zc82576/refcnt": "1\n",
    "sys/class/iommu/dmar0": "",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": "32\n",
    "sys/class/net/zc0/queues/rx-0/rps_cpus": "00000000,00000000\n",
    "sys/class/net/eth0/queues/rx-0/rps_cpus": "00000000\n",
}
PLAIN = Offloads(gro=False, lro=False, vlan=False)


def kernel_that(**refuses: int) -> Any:
    """try_socket: errno by "packet" and "xdp"."""
    names = {socket.AF_PACKET: "packet", AF_XDP: "xdp"}
    return lambda family: refuses.get(names[family], 0)


def sound(root: Path, driver: str = "zc82576", **files_too: str) -> Host:
    """A machine that has everything: zc0 on an 82576, and eth0, by which the default route goes."""
    files(root, SOUND | files_too)
    add_interface(root, "eth0")
    card = add_function(root, CARD, "8086:10c9", driver)
    if driver:
        add_interface(root, "zc0", card)
    return Host(root, kernel_that(), lambda ifname: PLAIN, lambda: frozenset({"eth0"}))


def bare(root: Path, **refuses: int) -> Host:
    """A machine whose only interface is eth0, without module, card, or anything else to look at."""
    add_interface(root, "eth0")
    return Host(root, kernel_that(**refuses), lambda ifname: PLAIN, frozenset)


def findings(host: Host, ifname: str | None = None) -> dict[str, Check]:
    return {check.name: check for check in examine(ifname, host)}


def verdict(host: Host, ifname: str | None = None) -> Check:
    return examine(ifname, host)[-1]


def test_a_machine_that_has_everything(tmp_path: Path) -> None:
    found = findings(sound(tmp_path), "zc0")
    assert {name: check.state for name, check in found.items() if check.state != "ok"} == {}
    assert "25" in found["family"].text
    assert CARD in found["card"].text
    assert found["capture"].text == "zcframe run --iface zc0 uses zerocopy"


def test_without_module_and_card_nothing_is_wrong(tmp_path: Path) -> None:
    found = findings(bare(tmp_path), "eth0")
    states = {name: check.state for name, check in found.items()}
    assert {states[name] for name in ("family", "abi", "driver", "card", "privileges", "iommu", "hugepages")} == {
        "none"
    }
    assert "fail" not in states.values()
    assert found["capture"].text == "zcframe run --iface eth0 uses packet"


def test_the_verdict_names_every_interface_by_what_captures_from_it(tmp_path: Path) -> None:
    host = sound(tmp_path)
    add_interface(tmp_path, "lo", flags=0x49)
    files(tmp_path, {"sys/class/net/lo/type": "772"})
    add_interface(tmp_path, "tun0")
    add_interface(tmp_path, "can0")
    files(tmp_path, {"sys/class/net/tun0/type": "65534", "sys/class/net/can0/type": "280"})
    assert verdict(host).text == "zcframe run --iface IFACE uses zerocopy on zc0; packet on eth0, lo, tun0"
    for ifname in ("zc0", "eth0", "lo", "tun0", "any"):
        chosen = choose_backend(ifname, "auto", tmp_path / "sys/class/net")
        assert verdict(host, ifname).text == f"zcframe run --iface {ifname} uses {chosen.name}"
    assert (verdict(host, "can0").state, verdict(host, "can0").text) == (
        "fail",
        "zcframe run --iface can0 would take packet, and fail: can0 cannot be captured: hardware type 280"
        " (linux/if_arp.h) carries CAN frames, which hold no IP",
    )


def test_all_interfaces_at_once(tmp_path: Path) -> None:
    host = sound(tmp_path)
    found = {check.name: check for check in examine("any", host)}
    assert found["link"].text.startswith("up: ") and "eth0" in found["link"].text
    assert found["capture"].text == "zcframe run --iface any uses packet"


@pytest.mark.parametrize(
    ("path", "text", "name", "state", "say", "remedy"),
    [
        ("proc/sys/kernel/osrelease", "5.10.0-8-amd64", "kernel", "warn", "6.1", ""),
        (
            "proc/self/limits",
            "Max locked memory  8388608  8388608  bytes",
            "memlock",
            "warn",
            "64 by zero",
            "ulimit -l 26",
        ),
        (
            "proc/self/limits",
            "Max locked memory  67108864  67108864  bytes",
            "memlock",
            "warn",
            "256 by xdp",
            "ulimit -l",
        ),
        ("proc/8/comm", "irqbalance\n", "irqbalance", "warn", "moves interrupts", "systemctl stop irqbalance"),
        ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave", "governor", "warn", "power", "cpupower"),
        ("sys/class/net/zc0/queues/rx-1/rps_cpus", "00000003", "rps", "warn", "zc0", "for f in /sys/class/net/zc0/que"),
        (
            "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
            "3",
            "hugepages",
            "none",
            "3 of",
            "sysctl vm.nr_huge",
        ),
        (
            "sys/module/pf_zerocopy/parameters/abi",
            "7",
            "abi",
            "warn",
            f"speaks 7, this command {abi.VERSION}",
            "rmmod zc8",
        ),
        ("sys/module/pf_zerocopy/parameters/abi", "", "abi", "none", "does not tell its version", ""),
    ],
)
def test_one_thing_is_wrong(tmp_path: Path, path: str, text: str, name: str, state: str, say: str, remedy: str) -> None:
    found = findings(sound(tmp_path, **{path: text}), "zc0")
    wrong = {check.name for check in found.values() if check.state != "ok"} - {"capture"}
    assert wrong == {name}
    assert found[name].state == state
    assert say in found[name].text
    assert found[name].remedy.startswith(remedy)
    assert bool(found[name].remedy) == bool(remedy)


@pytest.mark.parametrize(
    ("free", "mode", "state", "said"),
    [
        ("0", "always within_size advise [never] deny force", "none", "pages of 4 KiB"),
        ("0", "always within_size [advise] never deny force", "ok", "shmem_enabled is advise"),
        ("40", "always within_size advise [never] deny force", "ok", "where 80 MiB suffice"),
    ],
)
def test_where_state_lies(tmp_path: Path, free: str, mode: str, state: str, said: str) -> None:
    found = findings(
        sound(
            tmp_path,
            **{
                "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": free,
                "sys/kernel/mm/transparent_hugepage/shmem_enabled": mode,
            },
        )
    )["state"]
    assert (found.state, said in found.text, bool(found.remedy)) == (state, True, state == "none")


@pytest.mark.parametrize(
    ("mask", "refuses", "packet", "xdp", "said"),
    [
        (CAPABLE, {}, "ok", "ok", ""),
        (NET_RAW, {}, "ok", "warn", "CAP_NET_ADMIN, CAP_BPF missing"),
        (f"{1 << 12 | 1 << 13 | 1 << 21:016x}", {}, "ok", "ok", ""),
        (
            "0",
            {"packet": errno.EPERM, "xdp": errno.EPERM},
            "fail",
            "warn",
            "CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF missing",
        ),
        (CAPABLE, {"xdp": errno.EAFNOSUPPORT}, "ok", "none", "CONFIG_XDP_SOCKETS"),
        (CAPABLE, {"packet": errno.EAFNOSUPPORT}, "warn", "ok", ""),
        (CAPABLE, {"xdp": errno.ENOMEM}, "ok", "warn", "Cannot allocate memory"),
    ],
)
def test_sources_of_mainline_linux(
    tmp_path: Path, mask: str, refuses: dict[str, int], packet: str, xdp: str, said: str
) -> None:
    files(tmp_path, {"proc/self/status": f"CapEff:\t{mask}"})
    found = findings(bare(tmp_path, **refuses))
    assert (found["packet"].state, found["xdp"].state) == (packet, xdp)
    assert said in found["xdp"].text
    assert (found["xdp"].remedy == "zcframe setup-capture --backend xdp") == ("CAP_" in said)
    # What goes by packet goes wherever packet does.
    assert (verdict(bare(tmp_path, **refuses)).state == "ok") == (packet == "ok")


def test_without_net_raw_the_verdict_is_the_failure_and_names_the_remedy(tmp_path: Path) -> None:
    host = bare(tmp_path, packet=errno.EPERM)
    for found in (verdict(host), verdict(host, "eth0")):
        assert (found.state, found.remedy) == ("fail", "zcframe setup-capture")
        assert "CAP_NET_RAW is missing" in found.text


def test_a_card_of_zc82576_that_cannot_be_used_fails_there_and_not_elsewhere(tmp_path: Path) -> None:
    host = sound(tmp_path, **{"sys/module/pf_zerocopy/parameters/abi": "7"})
    assert (verdict(host, "zc0").state, verdict(host, "eth0").state, verdict(host).state) == ("fail", "ok", "ok")
    assert "would take zerocopy, and fail: the module speaks 7" in verdict(host, "zc0").text
    assert verdict(host).text == "zcframe run --iface IFACE uses packet on eth0"


@pytest.mark.parametrize(("driver", "said"), [("igb", "igb drives it"), ("", "no driver has it")])
def test_a_card_of_another_driver_is_to_be_bound(tmp_path: Path, driver: str, said: str) -> None:
    check = findings(sound(tmp_path, driver=driver))["card"]
    assert (check.state, check.remedy) == ("warn", f"zcframe nic bind {CARD}")
    assert said in check.text


def test_with_a_card_each_part_that_is_missing_is_a_warning(tmp_path: Path) -> None:
    add_function(tmp_path, CARD, "8086:10c9", "igb")
    found = findings(bare(tmp_path))
    assert {found[name].state for name in ("family", "driver", "card", "privileges", "iommu")} == {"warn"}
    assert found["capture"].state == "ok"


def test_an_interface_that_merges_is_down_and_carries_the_default_route(tmp_path: Path) -> None:
    add_interface(tmp_path, "eth0", flags=0x1002)
    merging = Offloads(gro=True, lro=True, vlan=False)
    host = Host(tmp_path, kernel_that(), lambda ifname: merging, lambda: frozenset({"eth0"}))
    found = findings(host, "eth0")
    assert (found["link"].state, found["link"].remedy) == ("warn", "ip link set eth0 up")
    assert (found["gro"].state, found["gro"].remedy) == ("warn", "ethtool -K eth0 gro off lro off")
    assert "the default route goes by eth0" in found["route"].text
    assert found["capture"].text == "zcframe run --iface eth0 uses packet; nothing comes before: ip link set eth0 up"


def test_a_card_that_shares_its_rings_merges_nothing_whatever_ethtool_says(tmp_path: Path) -> None:
    merging = replace(sound(tmp_path), offloads=lambda ifname: Offloads(gro=True, lro=False, vlan=False))
    assert (findings(merging, "zc0")["gro"].state, findings(merging, "eth0")["gro"].state) == ("ok", "warn")


def test_an_interface_without_a_link_or_a_word_about_merging(tmp_path: Path) -> None:
    def mute(ifname: str) -> Offloads:
        raise NicError("no")

    add_interface(tmp_path, "eth0", carrier="0")
    found = findings(Host(tmp_path, kernel_that(), mute, frozenset), "eth0")
    assert (found["link"].state, found["gro"].state) == ("warn", "none")


def test_a_machine_without_interfaces(tmp_path: Path) -> None:
    check = verdict(Host(tmp_path, kernel_that(), lambda ifname: PLAIN, frozenset))
    assert (check.state, check.text) == ("fail", "zcframe run --iface would fail everywhere: there is no interface")


def test_the_command_says_the_same_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [check["name"] for check in checks] == [check.name for check in examine()]
    assert code == int(checks[-1]["state"] == "fail")


@pytest.mark.parametrize(("last", "code"), [("ok", 0), ("fail", 1)])
def test_only_the_verdict_makes_the_command_fail(monkeypatch: pytest.MonkeyPatch, last: Any, code: int) -> None:
    found = [Check("packet", "fail", "no"), Check("capture", last, "the verdict")]
    monkeypatch.setattr("zcframe.framework.health.examine", lambda ifname: found)
    assert main(["doctor"]) == code


def test_the_last_line_is_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--iface", "lo"])
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert lines[-1].split()[1:6] == ["capture", "zcframe", "run", "--iface", "lo"]


def test_an_interface_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--iface", "nothere0"]) == 1
    assert "no interface 'nothere0'" in capsys.readouterr().err


def test_system_calls_that_nobody_restricts(tmp_path: Path) -> None:
    found = {
        check.name: check for check in examine(host=replace(sound(tmp_path), unrestricted=lambda: "it is gone: get it"))
    }
    text = "it is gone: workers may make every system call of their user"
    assert found["sandbox"] == Check("sandbox", "warn", text, "get it")


@pytest.mark.needs("root")
def test_without_capabilities_the_kernel_refuses_and_the_doctor_says_so() -> None:
    """As setpriv makes it, and the real kernel sees it."""
    command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", sys.executable, "-m", "zcframe", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert (checks["packet"]["state"], checks["capture"]["state"]) == ("fail", "fail")
    assert checks["capture"]["remedy"].startswith("--cap-add NET_RAW for a container")
    assert checks["workers"]["state"] == "warn"
    assert "CAP_SETUID and CAP_KILL are missing" in checks["workers"]["text"]
    assert checks["workers"]["remedy"] == "--cap-add SETGID --cap-add SETUID --cap-add KILL for a container"
