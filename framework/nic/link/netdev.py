"""What a driver can tell XDP programs of the frames that it receives. (Documentation/netlink/specs/netdev.yaml)"""

from __future__ import annotations

from typing import Final

FAMILY: Final = "netdev"
DEV_GET: Final = 1
FEATURES: Final = "NETDEV_A_DEV_XDP_RX_METADATA_FEATURES"


def metadata_features(ifindex: int) -> int:
    """Bits of metadata.py: TIME, HASH, VLAN; 0 where the kernel does not tell, which is before 6.3."""
    from pyroute2.netlink import NLM_F_REQUEST, genlmsg  # slow to import, and only wanted here
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.generic import AsyncGenericNetlinkSocket, GenericNetlinkSocket

    class Quiet(AsyncGenericNetlinkSocket):  # type: ignore[misc]
        # An older kernel is no error.
        module_err_level = "debug"

    class Socket(GenericNetlinkSocket):  # type: ignore[misc]
        async_class = Quiet

    class Device(genlmsg):  # type: ignore[misc]
        prefix = "NETDEV_A_DEV_"
        nla_map = (
            ("NETDEV_A_DEV_UNSPEC", "none"),
            ("NETDEV_A_DEV_IFINDEX", "uint32"),
            ("NETDEV_A_DEV_PAD", "none"),
            ("NETDEV_A_DEV_XDP_FEATURES", "uint64"),
            ("NETDEV_A_DEV_XDP_ZC_MAX_SEGS", "uint32"),
            (FEATURES, "uint64"),
        )

    request = Device()
    request["cmd"], request["version"] = DEV_GET, 1
    request["attrs"] = [("NETDEV_A_DEV_IFINDEX", ifindex)]
    try:
        with Socket() as netlink:
            netlink.bind(FAMILY, Device)
            answers = netlink.nlm_request(request, msg_type=netlink.prid, msg_flags=NLM_F_REQUEST)
            return int(next(iter(answers)).get_attr(FEATURES) or 0)
    except (OSError, NetlinkError, StopIteration):
        return 0
