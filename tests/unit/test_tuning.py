"""The plan of --tune, on interfaces made of files, and what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from zcframe.affinity.cpulist import format_cpu_mask
from zcframe.affinity.knobs import read_files
from zcframe.affinity.tuning import flush_ns, make_steering, make_tuning
from zcframe.framework.errors import NicError
from zcframe.framework.nic import Coalesce
from zcframe.framework.show.placement import tuning_lines

NET = "/sys/class/net/eth0"


def machine(root: Path, queues: int, *, irqs: bool, mask: str = "00") -> Path:
    """An interface with so many queues, each with an interrupt of its own or not; masks are written like `mask`."""
    files = {
        "sys/class/net/eth0/address": "02:00:00:00:00:07",
        "sys/class/net/eth0/ifindex": "7",
        "sys/class/net/eth0/speed": "1000",
        "sys/class/net/eth0/threaded": "0",
        "sys/class/net/eth0/napi_defer_hard_irqs": "0",
        "sys/class/net/eth0/gro_flush_timeout": "0",
        "proc/7/comm": "bash",
        "proc/interrupts": "".join(f"{40 + q}: 0 0 PCI-MSI eth0-TxRx-{q}\n" for q in range(queues if irqs else 0)),
    }
    for queue in range(queues):
        files[f"sys/class/net/eth0/queues/rx-{queue}/rps_cpus"] = mask
        files[f"sys/class/net/eth0/queues/tx-{queue}/xps_cpus"] = mask
        files[f"proc/irq/{40 + queue}/smp_affinity_list"] = "0-7"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return root


def values(tuning: object) -> dict[str, object]:
    return {change.name: change.after for change in tuning.changes}  # type: ignore[attr-defined]


def test_a_nic_with_an_interrupt_a_queue(tmp_path: Path) -> None:
    knobs = replace(read_files("eth0", machine(tmp_path, 4, irqs=True)), slots=256, coalesce=Coalesce(3, False))
    found = values(make_tuning(knobs, (2, 3)))
    assert found == {
        "/proc/irq/40/smp_affinity_list": "2",
        "/proc/irq/41/smp_affinity_list": "3",
        f"{NET}/queues/tx-0/xps_cpus": "04",
        f"{NET}/queues/tx-1/xps_cpus": "08",
        f"{NET}/napi_defer_hard_irqs": "100",
        f"{NET}/gro_flush_timeout": "86016",
        "coalesce": {"rx_usecs": 50, "adaptive_rx": False},
    }
    assert values(make_steering(knobs, (2, 3))) == {name: cpu for name, cpu in found.items() if "irq/" in name}


def test_rps_is_taken_off_where_the_interrupt_comes_to_the_worker(tmp_path: Path) -> None:
    knobs = read_files("eth0", machine(tmp_path, 2, irqs=True, mask="ff"))
    found = values(make_tuning(knobs, (0, 1)))
    assert (found[f"{NET}/queues/rx-0/rps_cpus"], found[f"{NET}/queues/rx-1/rps_cpus"]) == ("00", "00")


def test_an_interface_without_interrupts_gets_threads_and_rps(tmp_path: Path) -> None:
    found = values(make_tuning(read_files("eth0", machine(tmp_path, 2, irqs=False)), (0, 5)))
    assert found[f"{NET}/threaded"] == "1"
    assert (found[f"{NET}/queues/rx-0/rps_cpus"], found[f"{NET}/queues/rx-1/rps_cpus"]) == ("01", "20")


def test_fewer_queues_than_workers_share_all_their_cpus(tmp_path: Path) -> None:
    found = values(make_tuning(read_files("eth0", machine(tmp_path, 1, irqs=True)), (0, 1, 2, 3)))
    assert found[f"{NET}/queues/rx-0/rps_cpus"] == "0f"
    assert f"{NET}/queues/tx-0/xps_cpus" not in found


def test_a_second_plan_after_the_first_is_empty(tmp_path: Path) -> None:
    root = machine(tmp_path, 2, irqs=True, mask="3")
    for change in make_tuning(read_files("eth0", root), (0, 1)).changes:
        (root / change.name.lstrip("/")).write_text(f"{change.after}\n")
    assert make_tuning(read_files("eth0", root), (0, 1)).changes == ()


def test_what_cannot_be_read_is_not_planned(tmp_path: Path) -> None:
    root = machine(tmp_path, 1, irqs=False)
    (root / "sys/class/net/eth0/queues/tx-0/xps_cpus").unlink()
    (root / "sys/class/net/eth0/queues/tx-0/xps_cpus").mkdir()
    (root / "sys/class/net/eth0/threaded").unlink()
    assert set(values(make_tuning(read_files("eth0", root), (0,)))) == {
        f"{NET}/queues/rx-0/rps_cpus",
        f"{NET}/napi_defer_hard_irqs",
        f"{NET}/gro_flush_timeout",
    }


@pytest.mark.parametrize("now", [None, Coalesce(0, False), Coalesce(50, False)])
def test_coalescing_that_is_not_known_not_had_or_right_stays(tmp_path: Path, now: Coalesce | None) -> None:
    knobs = replace(read_files("eth0", machine(tmp_path, 1, irqs=True)), slots=4096, coalesce=now)
    assert "coalesce" not in values(make_tuning(knobs, (0,)))


def test_irqbalance_is_noticed(tmp_path: Path) -> None:
    root = machine(tmp_path, 1, irqs=True)
    assert make_tuning(read_files("eth0", root), (0,)).warnings == ()
    (root / "proc/7/comm").write_text("irqbalance\n")
    (warning,) = make_steering(read_files("eth0", root), (0,)).warnings
    assert "systemctl stop irqbalance" in warning
    assert tuning_lines("eth0", make_tuning(read_files("eth0", root), (0,)))[-1] == f"warning: {warning}"


def test_the_timer_is_at_most_half_of_what_a_ring_holds() -> None:
    # 1 GbE at 64 bytes brings 1,488,095 frames a second.
    assert flush_ns(256, 1000) == pytest.approx(128 / 1_488_095 * 1e9, rel=1e-4)
    assert flush_ns(512, 10_000) == pytest.approx(256 / 14_880_952 * 1e9, rel=1e-4)
    assert flush_ns(4096, 1000) == 1_000_000
    assert flush_ns(0, 1000) == flush_ns(256, 0) == 50_000


def test_masks_are_as_wide_as_the_kernel_writes_them() -> None:
    assert format_cpu_mask((0, 9), "00,00000000") == "00,00000201"
    assert format_cpu_mask((33,), "00000000,00000000") == "00000002,00000000"
    assert format_cpu_mask((), "f") == "0"
    assert format_cpu_mask((0, 1), "0") == "3"


def test_no_such_interface(tmp_path: Path) -> None:
    with pytest.raises(NicError, match="no interface 'eth1': eth0"):
        read_files("eth1", machine(tmp_path, 1, irqs=False))
