"""Who lives where on the recorded network: private test ranges only (RFC 1918, RFC 3849, RFC 2606).

    clients ---- eth0 ---- servers      recorded here; also carries the tagged frames of vlan0 and qinq0
            ---- back0 ---              not recorded: the other half of the one-sided flows

Names are of the reserved top level .test.
"""

from __future__ import annotations

CLIENT = "10.82.0.10"
SCANNER = "10.82.0.66"
EXPORTER = "10.82.0.20"
SERVER = "10.82.0.2"
MIRROR = "10.82.0.3"  # reached over back0, answers over eth0
DNS = "10.82.0.53"
VICTIM = "10.82.0.200"  # nobody: its MAC is the servers', its packets fall on the floor
FLOOD_NETWORK = "10.82.64.0/18"

CLIENT6 = "2001:db8:82::10"
SERVER6 = "2001:db8:82::2"
DNS6 = "2001:db8:82::53"

HOSTS = tuple(f"10.82.1.{n}" for n in range(1, 49))
HOSTS6 = tuple(f"2001:db8:82::1:{n:x}" for n in range(1, 25))
ONE_SIDED_HOSTS = tuple(f"10.82.32.{n}" for n in range(1, 9))  # send over eth0, are answered over back0
ONE_SIDED_NETWORK = "10.82.32.0/24"

BACK_CLIENT, BACK_SERVER = "10.82.210.1", "10.82.210.2"
VLAN_CLIENT, VLAN_SERVER = "10.82.200.1", "10.82.200.2"
VLAN_CLIENT6, VLAN_SERVER6 = "2001:db8:82:c8::1", "2001:db8:82:c8::2"
QINQ_CLIENT, QINQ_SERVER = "10.82.201.1", "10.82.201.2"
VLAN_TAGS = ("8100:100",)
QINQ_TAGS = ("88a8:200", "8100:30")

MACS = ("02:00:00:82:00:01", "02:00:00:82:00:02")
BACK_MACS = ("02:00:00:82:01:01", "02:00:00:82:01:02")
VLAN_MACS = ("02:00:00:82:02:01", "02:00:00:82:02:02")
QINQ_MACS = ("02:00:00:82:03:01", "02:00:00:82:03:02")

WEB_NAME = "www.zcframe.test"
SINK_PORTS = (514, 2055, 9999)
BULK_PORT = 9999

# Objects of the web server: path -> bytes.
OBJECTS = {
    "/index.html": 320,
    "/style.css": 900,
    "/icon.svg": 160,
    "/app.js": 2_600,
    "/story.html": 5_000,
    "/archive.bin": 20_000,
}
