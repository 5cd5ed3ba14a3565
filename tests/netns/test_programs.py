"""Traffic that real programs make, captured while tcpdump looks on: the same frames, byte for byte of length."""

from __future__ import annotations

import contextlib
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dpkt
import pytest

from tests.kit.command import Background, die_with_tests, until

from .space import Space, program_of

pytestmark = pytest.mark.needs("root", "namespaces", "tcpdump", "curl", "nginx", "iperf3", "dig", "ping")

CLIENT, SERVER = "10.9.0.1", "10.9.0.2"
PAGE = b"0123456789abcdef" * 8192
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
    fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen {address}:80; root {folder}/www; }}
}}
"""


@pytest.fixture
def server() -> Iterator[Space]:
    with Space() as made:
        yield made


@pytest.fixture
def client(space: Space, server: Space) -> Space:
    """Joined with the server by a veth, `near` here and `far` there; neighbours are known, so that nobody asks."""
    space.veth(mtu=9000)
    space.ip(f"link set far netns {server.pid}")
    for end, name, own in ((space, "near", CLIENT), (server, "far", SERVER)):
        end.ip(f"address add {own}/24 dev {name}")
        end.ip(f"link set {name} up")
    space.ip(f"neigh replace {SERVER} lladdr {server.link('far')['address']} dev near nud permanent")
    server.ip(f"neigh replace {CLIENT} lladdr {space.link('near')['address']} dev far nud permanent")
    return space


@pytest.fixture
def servers(client: Space, server: Space, tmp_path: Path) -> Iterator[None]:
    (tmp_path / "www").mkdir()
    tmp_path.chmod(0o755)
    (tmp_path / "www" / "page").write_bytes(PAGE)
    conf = tmp_path / "nginx.conf"
    conf.write_text(NGINX.format(folder=tmp_path, address=SERVER))
    commands = [
        ("nginx", "-p", tmp_path, "-c", conf),
        ("iperf3", "--server", "--one-off", "--bind", SERVER),
        (*program_of("answer"), SERVER),
    ]
    with contextlib.ExitStack() as running:
        for words in commands:
            running.enter_context(server.start(*words))
        until(lambda: all(f":{port} " in server.run("ss", "-ltun") for port in (80, 5201, 53)), what="three servers")
        yield


class Tcpdump:
    """tcpdump beside us on the same interface."""

    def __init__(self, space: Space, folder: Path) -> None:
        self.file, self._said = folder / "beside.pcap", folder / "tcpdump"
        # Immediate: what waits in a block that is not full would go with the signal that ends it.
        words = ["tcpdump", "-i", "near", "--immediate-mode", "-U", "-B", "65536", "-Z", "root", "-w", str(self.file)]
        with self._said.open("w") as said:
            self.process = subprocess.Popen([*space.enter, *words], stderr=said, preexec_fn=die_with_tests)
        until(lambda: "listening" in self._said.read_text(), what="tcpdump")

    def frames(self) -> list[tuple[int, bytes]]:
        """(length on the wire, captured bytes) of all frames; it has ended, and dropped none."""
        self.process.terminate()
        self.process.wait()
        assert "\n0 packets dropped by kernel" in self._said.read_text()
        with self.file.open("rb") as file:
            reader = dpkt.pcap.Reader(file)
            return [(len(data), data) for _, data in reader]


def talk(client: Space) -> None:
    """A page, a measurement, questions, and pings that come in fragments or in one large frame."""
    assert client.run("curl", "--silent", "--fail", f"http://{SERVER}/page") == PAGE.decode()
    client.run("iperf3", "--client", SERVER, "--bytes", "4M")
    for name in ("a.test", "b.test"):
        assert "NXDOMAIN" in client.run("dig", f"@{SERVER}", name, "+tries=1")
    client.run("ping", "-q", "-c", "3", "-i", "0.2", "-s", "20000", SERVER)
    client.run("ping", "-q", "-c", "3", "-i", "0.2", "-s", "8000", SERVER)


@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize("fanout", ["hash", "ip-pair"])
def test_the_same_as_tcpdump(client: Space, tmp_path: Path, fanout: str) -> None:
    beside = Tcpdump(client, tmp_path)
    # Room for all that comes: what is compared is what was said, not how fast.
    roomy = ("--queues", 2, "--ring-slots", 16384, "--fanout", fanout)
    with client.capture(tmp_path, "--iface", "near", *roomy, "--plugin", "flows?top=1000", "sizes") as run:
        talk(client)
        # What tcpdump has written has come to us as well; the programs have ended and say no more.
        until(lambda: run.ledger["arrived"] and _quiet(run), what="silence")
        done = run.stop()
    frames = beside.frames()
    assert done.code == 0, done.stderr
    assert done.ledger["delivered"] == done.ledger["arrived"] == len(frames)
    assert done.document["totals"]["bytes"] == sum(length for length, _ in frames)
    sizes = done.document["plugins"]["sizes"]
    assert (sizes["min"], sizes["max"]) == (min(frames)[0], max(frames)[0])
    assert sizes["max"] > 8000
    protocols: Counter[int] = Counter()
    for row in done.document["plugins"]["flows"]["top"]:
        protocols[row["proto"]] += row["packets"]
    assert protocols == Counter(dpkt.ethernet.Ethernet(data).data.p for _, data in frames)


def _quiet(run: Background) -> bool:
    """Whether the last five looks at the counters saw the same."""
    seen = [tick["totals"]["ledger"]["arrived"] for tick in run.ticks()][-5:]
    return len(seen) == 5 and len(set(seen)) == 1
