"""The server side: nginx, dnsmasq and a UDP sink, configured from plan.py into a scratch directory."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from . import plan
from .netlab import Lab, LabError, Namespace

SENDERS = str(Path(__file__).with_name("senders.py"))
READY_TRIES = 100
READY_PAUSE_S = 0.1
WORDS = ("ring", "queue", "burst", "frame", "worker", "bucket", "verdict", "block", "vector", "slot", "host", "flow")

NGINX = """
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    server {{
        listen 80;
        listen [::]:80 ipv6only=on;
        listen 443 ssl;
        listen [::]:443 ssl ipv6only=on;
        server_name {name};
        ssl_certificate {root}/cert.pem;
        ssl_certificate_key {root}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        root {root}/site;
    }}
}}
"""


def make_certificate(lab: Lab, root: Path) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(root / "key.pem")]
    subject = ["-subj", f"/CN={plan.WEB_NAME}", "-addext", f"subjectAltName=DNS:{plan.WEB_NAME}"]
    lab.run(["openssl", "req", "-x509", "-days", "30", *key, *subject, "-out", str(root / "cert.pem")])


def make_site(root: Path) -> None:
    """Objects of plan.OBJECTS' sizes; words, so that the recording compresses well in the repository."""
    chance = random.Random("site")
    (root / "site").mkdir()
    for path, size in plan.OBJECTS.items():
        text = " ".join(chance.choices(WORDS, k=size // 3))
        (root / "site" / path.lstrip("/")).write_text(text[:size])


def _start_web(servers: Namespace, root: Path) -> None:
    configuration = root / "nginx.conf"
    configuration.write_text(NGINX.format(root=root, name=plan.WEB_NAME))
    servers.start("nginx", "-e", "stderr", "-p", str(root), "-c", str(configuration))


def _start_dns(servers: Namespace) -> None:
    zone = "zcframe.test"
    long_text = ",".join(f"part {n} of a record that no UDP answer can hold {'.' * 180}" for n in range(8))
    hosts = [f"--host-record=host{n}.{zone},{v4}" for n, v4 in enumerate(plan.HOSTS)]
    hosts6 = [f"--host-record=host{n}-v6.{zone},{v6}" for n, v6 in enumerate(plan.HOSTS6)]
    servers.start(
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-poll"),
        *("--user=root", "--group=root", "--pid-file=", "--log-facility=-", "--bind-interfaces", "--cache-size=0"),
        *(f"--listen-address={plan.DNS},{plan.DNS6}", f"--local=/{zone}/", "--local=/10.in-addr.arpa/"),
        *(f"--host-record={plan.WEB_NAME},{plan.SERVER},{plan.SERVER6}", *hosts, *hosts6),
        *(f"--cname=web.{zone},{plan.WEB_NAME}", f"--srv-host=_http._tcp.{zone},{plan.WEB_NAME},80"),
        *(f"--mx-host={zone},mail1.{zone},10", f"--mx-host={zone},mail2.{zone},20"),
        *(f"--txt-record={zone},v=spf1 -all", f"--txt-record=long.{zone},{long_text}"),
    )


def _answers(servers: Namespace, *command: str) -> bool:
    try:
        servers.run(*command)
    except LabError:
        return False
    return True


def _wait_until_answers(servers: Namespace, *command: str) -> None:
    """Ask from the servers' own side, over lo: nothing of it is recorded."""
    for _ in range(READY_TRIES):
        if _answers(servers, *command):
            return
        time.sleep(READY_PAUSE_S)
    servers.run(*command)


def start_servers(servers: Namespace, root: Path) -> None:
    """Start everything and return when each of them answers. Raises LabError if one does not."""
    make_certificate(servers.lab, root)
    make_site(root)
    _start_web(servers, root)
    _start_dns(servers)
    sink = servers.start(sys.executable, SENDERS, "sink", *map(str, plan.SINK_PORTS))
    servers.lab.wait_for(sink, "ready")
    _wait_until_answers(servers, "curl", "-q", "-s", "-k", "-o", "/dev/null", f"https://{plan.SERVER}/")
    _wait_until_answers(servers, "dig", "-r", f"@{plan.DNS}", "+time=1", "+tries=1", plan.WEB_NAME)
