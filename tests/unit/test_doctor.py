"""The findings of `zcframe doctor`, on machines made of files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zcframe.framework.cli.front import main
from zcframe.framework.nic.health import Check, examine

CARD = "sys/bus/pci/devices/0000:02:00.0"


def machine(root: Path, **files: str) -> Path:
    """Files by their paths below the root."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def held_by(root: Path, driver: str) -> None:
    (root / "sys/bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
    (root / CARD / "driver").symlink_to(root / "sys/bus/pci/drivers" / driver)


SOUND = {
    "proc/sys/kernel/osrelease": "6.12.95+deb12-amd64\n",
    "proc/self/status": "Name:\tx\nCapEff:\t0000000000003000\n",
    "proc/self/limits": "Limit  Soft  Hard  Units\nMax locked memory         67108864             67108864             bytes\n",
    "proc/7/comm": "bash\n",
    "proc/interrupts": " 24:  1  PCI-MSIX  0-edge  zc0-rxtx-0\n",
    "proc/irq/24/smp_affinity_list": "3\n",
    "sys/module/pf_zerocopy/parameters/family": "25\n",
    "sys/module/zc82576/refcnt": "1\n",
    f"{CARD}/vendor": "0x8086\n",
    f"{CARD}/device": "0x10c9\n",
    "sys/class/iommu/dmar0": "",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/class/net/zc0/queues/rx-0/rps_cpus": "00000000,00000000\n",
}


def findings(root: Path, ifname: str | None = None) -> dict[str, Check]:
    return {check.name: check for check in examine(ifname, root)}


def test_a_machine_that_has_everything(tmp_path: Path) -> None:
    machine(tmp_path, **SOUND)
    held_by(tmp_path, "zc82576")
    found = findings(tmp_path, "zc0")
    assert {check.state for check in found.values()} == {"ok"}
    assert "25" in found["family"].text
    assert "0000:02:00.0" in found["card"].text


def test_a_machine_that_has_nothing(tmp_path: Path) -> None:
    found = findings(tmp_path, "eth0")
    assert [name for name, check in found.items() if check.state == "fail"] == [
        "family",
        "driver",
        "card",
        "privileges",
    ]
    assert found["kernel"].state == found["governor"].state == found["rps"].state == "none"


@pytest.mark.parametrize(
    ("path", "text", "name", "state", "say"),
    [
        ("proc/sys/kernel/osrelease", "5.10.0-8-amd64", "kernel", "fail", "6.1"),
        ("proc/self/status", "CapEff:\t0000000000001000", "privileges", "fail", "CAP_NET_RAW"),
        ("proc/self/limits", "Max locked memory  8388608  8388608  bytes", "memlock", "fail", "64 are needed"),
        ("proc/8/comm", "irqbalance\n", "irqbalance", "warn", "moves interrupts"),
        ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave", "governor", "warn", "powersave"),
        ("sys/class/net/zc0/queues/rx-1/rps_cpus", "00000003", "rps", "warn", "zc0"),
        (f"{CARD}/device", "0x10fb", "card", "fail", "no Intel 82576"),
    ],
)
def test_one_thing_is_wrong(tmp_path: Path, path: str, text: str, name: str, state: str, say: str) -> None:
    machine(tmp_path, **(SOUND | {path: text}))
    held_by(tmp_path, "zc82576")
    found = findings(tmp_path, "zc0")
    assert {check.name for check in found.values() if check.state != "ok"} == {name}
    assert found[name].state == state
    assert say in found[name].text


def test_a_card_that_igb_holds_is_to_be_let_go(tmp_path: Path) -> None:
    machine(tmp_path, **SOUND)
    held_by(tmp_path, "igb")
    check = findings(tmp_path)["card"]
    assert check.state == "fail"
    assert "igb drives it" in check.text
    assert check.remedy.startswith("echo 0000:02:00.0 > /sys/bus/pci/devices/0000:02:00.0/driver/unbind")


def test_the_command_says_the_same_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [check["name"] for check in checks] == [check.name for check in examine()]
    assert code == int(any(check["state"] == "fail" for check in checks))


def test_an_interface_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--iface", "nothere0"]) == 1
    assert "no interface 'nothere0'" in capsys.readouterr().err
