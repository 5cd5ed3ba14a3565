"""Record the bundled trace: real programs that talk between two network namespaces, captured by tcpdump.

    sudo python -m tests.tools.trace.record framework/sources/trace/bundled.pcapng

Needs root and the Debian packages curl, dnsmasq, ethtool, dnsutils, iproute2, iputils-ping, nginx-light, nmap, openssl,
tcpdump, tshark (for editcap), util-linux; no kernel module beyond veth and tun. Takes about ten seconds. Whatever it
starts and makes is gone afterwards, also when it fails, is interrupted or is killed.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from . import plan
from .clients import Job, all_jobs
from .netlab import Lab, LabError, Namespace, check_programs, join
from .servers import start_servers

PACKAGES = {
    "curl": "curl",
    "dig": "dnsutils",
    "dnsmasq": "dnsmasq",
    "editcap": "tshark",
    "ethtool": "ethtool",
    "ip": "iproute2",
    "nginx": "nginx-light",
    "nmap": "nmap",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "ping": "iputils-ping",
    "setpriv": "util-linux",
    "tcpdump": "tcpdump",
    "unshare": "util-linux",
}
MAX_BYTES = 2_000_000
SIDE_BY_SIDE = 4
# The kernel hands packets to tcpdump in blocks, up to a second late; what is in an open block when it ends is lost.
SETTLE_S = 1.5
VLAN_PORT = str(Path(__file__).with_name("vlan_port.py"))


def _tagged_link(ends: tuple[Namespace, Namespace], name: str, macs: tuple[str, str], tags: tuple[str, ...]) -> None:
    for end, mac in zip(ends, macs, strict=True):
        port = end.start(sys.executable, VLAN_PORT, "eth0", name, *tags)
        end.lab.wait_for(port, "ready")
        end.run("ip", "link", "set", name, "address", mac, "mtu", str(1500 - 4 * len(tags)))


def _give_addresses(clients: Namespace, servers: Namespace) -> None:
    own = [plan.CLIENT, plan.SCANNER, plan.EXPORTER, *plan.HOSTS]
    own6 = [plan.CLIENT6, *plan.HOSTS6]
    one_sided = [f"{a}/32" for a in plan.ONE_SIDED_HOSTS]
    clients.address("eth0", *(f"{a}/18" for a in own), *(f"{a}/64" for a in own6), *one_sided)
    servers.address("eth0", *(f"{a}/18" for a in (plan.SERVER, plan.DNS)), f"{plan.MIRROR}/32")
    servers.address("eth0", *(f"{a}/64" for a in (plan.SERVER6, plan.DNS6)))
    clients.address("back0", f"{plan.BACK_CLIENT}/24")
    servers.address("back0", f"{plan.BACK_SERVER}/24")
    clients.address("vlan0", f"{plan.VLAN_CLIENT}/24", f"{plan.VLAN_CLIENT6}/64")
    servers.address("vlan0", f"{plan.VLAN_SERVER}/24", f"{plan.VLAN_SERVER6}/64")
    clients.address("qinq0", f"{plan.QINQ_CLIENT}/24")
    servers.address("qinq0", f"{plan.QINQ_SERVER}/24")


def _lay_routes(clients: Namespace, servers: Namespace) -> None:
    """Make half of some conversations go over back0, and give the flood's victim a MAC that does not answer."""
    servers.run("ip", "route", "add", plan.ONE_SIDED_NETWORK, "via", plan.BACK_CLIENT, "dev", "back0")
    way_back = ("via", plan.BACK_SERVER, "dev", "back0", "src", plan.CLIENT)
    clients.run("ip", "route", "add", f"{plan.MIRROR}/32", *way_back)
    neighbour = ("lladdr", plan.MACS[1], "dev", "eth0", "nud", "permanent")
    clients.run("ip", "neighbour", "add", plan.VICTIM, *neighbour)


def build_network(lab: Lab) -> tuple[Namespace, Namespace]:
    """The two namespaces of plan.py, addresses, routes and tagged links included."""
    clients, servers = Namespace(lab), Namespace(lab)
    join(clients, servers, "eth0", plan.MACS)
    join(clients, servers, "back0", plan.BACK_MACS)
    for end in (clients, servers):
        end.run("ip", "link", "set", "eth0", "up")
    _tagged_link((clients, servers), "vlan0", plan.VLAN_MACS, plan.VLAN_TAGS)
    _tagged_link((clients, servers), "qinq0", plan.QINQ_MACS, plan.QINQ_TAGS)
    _give_addresses(clients, servers)
    _lay_routes(clients, servers)
    return clients, servers


@contextmanager
def capture(servers: Namespace, into: Path) -> Iterator[None]:
    """Run tcpdump on the servers' end of the recorded link. Raises LabError if it lost a packet."""
    options = ("-i", "eth0", "-n", "-s", "0", "-B", "65536", "--time-stamp-precision=nano", "-Z", "root")
    child = servers.start("tcpdump", *options, "-w", str(into))
    servers.lab.wait_for(child, "listening on")
    yield
    time.sleep(SETTLE_S)
    said = servers.lab.end(child, signal.SIGINT)
    lost = re.search(r"(\d+) packets dropped by kernel", said)
    if lost is None or int(lost[1]):
        raise LabError(f"tcpdump lost packets or failed: {said.strip()}")


def run_jobs(lab: Lab, jobs: list[Job]) -> None:
    """Run all jobs, a few side by side; the first failure ends the rest."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        try:
            for done in as_completed([pool.submit(job) for job in jobs]):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            lab.close()
            raise


def record(out: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="zcframe-record-") as scratch, Lab() as lab:
        root = Path(scratch)
        clients, servers = build_network(lab)
        start_servers(servers, root)
        raw, made = root / "raw.pcap", root / "made.pcapng"
        with capture(servers, raw):
            run_jobs(lab, all_jobs(clients, root))
        lab.run(["editcap", "-F", "pcapng", str(raw), str(made)])
        size = made.stat().st_size
        if size > MAX_BYTES:
            raise LabError(f"the recording has {size:,} bytes, more than {MAX_BYTES:,}: make fewer jobs in clients.py")
        out.write_bytes(made.read_bytes())
    print(f"{out}: {size:,} bytes")


def _stop(signum: int, frame: FrameType | None) -> None:
    raise LabError(f"stopped by {signal.Signals(signum).name}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Record the bundled trace (as root).")
    parser.add_argument("out", type=Path, metavar="OUT", help="pcapng file to write")
    out = parser.parse_args().out
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _stop)
    try:
        if os.geteuid() != 0:
            raise LabError("network namespaces and tcpdump need root: run it with sudo")
        check_programs(PACKAGES)
        record(out)
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"record.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    sys.exit(main())
