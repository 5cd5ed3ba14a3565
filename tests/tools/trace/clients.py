"""The client side: what each program does, as a list of jobs that may run side by side."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from . import plan
from .netlab import Namespace

Job = Callable[[], object]

SENDERS = str(Path(__file__).with_name("senders.py"))
# Small objects far more often than large ones, as on the web.
OBJECT_WEIGHTS = (32, 22, 26, 7, 2, 0.5)
PLAIN_SESSIONS, TLS_SESSIONS, PLAIN6_SESSIONS, TLS6_SESSIONS = 175, 26, 40, 8
NAME_QUERIES, TCP_QUERIES = 380, 60
SYNS = 320


def _fetch(
    clients: Namespace, root: Path, source: str, server: str, paths: list[str], *, scheme: str, newest_tls: str = "1.3"
) -> None:
    """One curl: all paths over one connection, kept alive."""
    port = 443 if scheme == "https" else 80
    target = f"[{server}]" if ":" in server else server
    fetches = [word for path in paths for word in ("-o", "/dev/null", f"{scheme}://{plan.WEB_NAME}{path}")]
    name = ["--resolve", f"{plan.WEB_NAME}:{port}:{target}", "--interface", source]
    trust = ["--cacert", str(root / "cert.pem"), "--tls-max", newest_tls]
    clients.run("curl", "-q", "-sS", "--max-time", "20", *trust, *name, *fetches)


def _paths(chance: random.Random) -> list[str]:
    return chance.choices(list(plan.OBJECTS), OBJECT_WEIGHTS, k=chance.choice((1, 1, 1, 2, 3)))


def web(clients: Namespace, root: Path, chance: random.Random) -> Iterator[Job]:
    kinds = (
        (PLAIN_SESSIONS, "http", plan.HOSTS, plan.SERVER),
        (TLS_SESSIONS, "https", plan.HOSTS, plan.SERVER),
        (PLAIN6_SESSIONS, "http", plan.HOSTS6, plan.SERVER6),
        (TLS6_SESSIONS, "https", plan.HOSTS6, plan.SERVER6),
    )
    for sessions, scheme, hosts, server in kinds:
        for _ in range(sessions):
            how = {"scheme": scheme, "newest_tls": chance.choice(("1.2", "1.3", "1.3"))}
            yield partial(_fetch, clients, root, chance.choice(hosts), server, _paths(chance), **how)
    # Every object at least once, whatever the dice say, and one that is not there.
    yield partial(_fetch, clients, root, plan.CLIENT, plan.SERVER, list(plan.OBJECTS), scheme="http")
    yield partial(_fetch, clients, root, plan.CLIENT, plan.SERVER, ["/style.css", "/app.js"], scheme="https")
    yield partial(_fetch, clients, root, plan.CLIENT, plan.SERVER, ["/missing.html"], scheme="http")


def _question(chance: random.Random) -> list[str]:
    host = f"host{chance.randrange(len(plan.HOSTS))}"
    questions = (
        [plan.WEB_NAME, "A"],
        [plan.WEB_NAME, "AAAA"],
        [f"{host}.zcframe.test", "A"],
        [f"host{chance.randrange(len(plan.HOSTS6))}-v6.zcframe.test", "AAAA"],
        ["zcframe.test", "MX"],
        ["zcframe.test", "TXT"],
        ["web.zcframe.test", "A"],
        ["_http._tcp.zcframe.test", "SRV"],
        ["-x", chance.choice(plan.HOSTS)],
        [f"no-such-{chance.randrange(1000)}.zcframe.test", "A"],
    )
    return chance.choices(questions, (20, 12, 14, 8, 6, 6, 6, 4, 6, 12))[0]


def _ask(clients: Namespace, source: str, question: list[str], *options: str) -> None:
    server = plan.DNS6 if ":" in source else plan.DNS
    clients.run("dig", "-r", "-b", source, f"@{server}", "+time=5", "+tries=2", *options, *question)


def dns(clients: Namespace, chance: random.Random) -> Iterator[Job]:
    hosts = plan.HOSTS + plan.HOSTS6
    for _ in range(NAME_QUERIES):
        yield partial(_ask, clients, chance.choice(hosts), _question(chance))
    for _ in range(TCP_QUERIES):
        yield partial(_ask, clients, chance.choice(hosts), _question(chance), "+tcp")
    for kind in ("AAAA", "MX", "TXT"):
        yield partial(_ask, clients, plan.CLIENT, ["zcframe.test" if kind != "AAAA" else plan.WEB_NAME, kind])
    # Answered with TC over UDP, so that dig asks again over TCP.
    yield partial(_ask, clients, plan.CLIENT, ["long.zcframe.test", "TXT"])


def _ping(clients: Namespace, source: str, target: str, size: int, count: int) -> None:
    clients.run("ping", "-n", "-q", "-i", "0.02", "-s", str(size), "-c", str(count), "-I", source, target)


def pings(clients: Namespace, chance: random.Random) -> Iterator[Job]:
    for size in (8, 56, 120, 400, 900):
        yield partial(_ping, clients, chance.choice(plan.HOSTS), plan.SERVER, size, 8)
        yield partial(_ping, clients, chance.choice(plan.HOSTS6), plan.SERVER6, size, 6)
    # Larger than the MTU: fragments, both ways.
    yield partial(_ping, clients, plan.CLIENT, plan.SERVER, 4000, 4)
    yield partial(_ping, clients, plan.CLIENT6, plan.SERVER6, 4000, 4)


def tagged(clients: Namespace, root: Path) -> Iterator[Job]:
    links = (
        (plan.VLAN_CLIENT, plan.VLAN_SERVER),
        (plan.VLAN_CLIENT6, plan.VLAN_SERVER6),
        (plan.QINQ_CLIENT, plan.QINQ_SERVER),
    )
    for source, server in links:
        yield partial(_ping, clients, source, server, 56, 10)
        for paths in (["/icon.svg"], ["/index.html", "/style.css"], ["/app.js"], ["/story.html"], ["/index.html"]):
            yield partial(_fetch, clients, root, source, server, paths, scheme="http")
        yield partial(_fetch, clients, root, source, server, ["/style.css"], scheme="https")
    yield partial(_ping, clients, plan.VLAN_CLIENT, plan.VLAN_SERVER, 4000, 3)


def attacks(clients: Namespace) -> Iterator[Job]:
    scan = ("nmap", "-n", "-Pn", "-T4", "--max-retries", "2", "-e", "eth0", "-S")
    yield partial(clients.run, *scan, plan.SCANNER, "-sS", "-p", "1-1024", plan.SERVER)
    yield partial(clients.run, *scan, plan.CLIENT6, "-6", "-sS", "-p", "1-150", plan.SERVER6)
    yield partial(clients.run, *scan, plan.SCANNER, "-sU", "-p", "67-76,161", plan.SERVER)
    yield partial(clients.run, sys.executable, SENDERS, "synflood", plan.FLOOD_NETWORK, plan.VICTIM, "443", str(SYNS))


def one_sided(clients: Namespace, root: Path) -> Iterator[Job]:
    """Telemetry that nobody answers, and TCP of which the recorded link carries one direction only."""
    for number, source in enumerate((plan.EXPORTER, *plan.HOSTS[:5])):
        yield partial(clients.run, sys.executable, SENDERS, "syslog", source, plan.SERVER, str(20 + 4 * number))
    for source in (plan.EXPORTER, *plan.HOSTS[5:8]):
        yield partial(clients.run, sys.executable, SENDERS, "netflow", source, plan.SERVER, "20")
    for source, target in ((plan.CLIENT, plan.SERVER), (plan.CLIENT6, plan.SERVER6)):
        bulk = (source, target, str(plan.BULK_PORT), "5000", "4")
        yield partial(clients.run, sys.executable, SENDERS, "datagrams", *bulk)
    for source in plan.ONE_SIDED_HOSTS:
        for paths in (["/style.css"], ["/app.js", "/index.html"]):
            yield partial(_fetch, clients, root, source, plan.SERVER, paths, scheme="http")
    for path in ("/icon.svg", "/style.css", "/app.js", "/index.html"):
        yield partial(_fetch, clients, root, plan.CLIENT, plan.MIRROR, [path], scheme="http")


def all_jobs(clients: Namespace, root: Path) -> list[Job]:
    """Every job in a mixed order that is the same each time."""
    chance = random.Random("clients")
    jobs = [
        *web(clients, root, chance),
        *dns(clients, chance),
        *pings(clients, chance),
        *tagged(clients, root),
        *one_sided(clients, root),
    ]
    chance.shuffle(jobs)
    for place, job in enumerate(attacks(clients), start=1):
        jobs.insert(place * len(jobs) // 5, job)
    return jobs
