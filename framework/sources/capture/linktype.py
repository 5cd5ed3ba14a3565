"""Link types of capture files: their names, and how those that carry IP become Ethernet frames."""

from __future__ import annotations

from typing import Final

import numpy as np

from zcframe.framework.errors import LinkTypeError

# Framings: what stands in front of the network layer. UNSUPPORTED link types have no IP that is read. The scanners
# frame those up to SLL2 themselves.
ETHERNET: Final = 0
RAW: Final = 1
RAW_IPV4: Final = 2
RAW_IPV6: Final = 3
LOOPBACK: Final = 4
SLL: Final = 5
SLL2: Final = 6
PPP: Final = 7
HDLC: Final = 8
FRAME_RELAY: Final = 9
LLC: Final = 10
IEEE802_11: Final = 11
NFLOG: Final = 12
PFLOG: Final = 13
ENC: Final = 14
IPNET: Final = 15
FIREWIRE: Final = 16
MPLS: Final = 17
PPPOE: Final = 18
UNSUPPORTED: Final = 31
# Wrappers: a header of the recording program in front of one of the others.
WRAPPERS: Final = 32
RADIOTAP: Final = 32
PRISM: Final = 33
AVS: Final = 34
PPI: Final = 35
PKTAP: Final = 36
PPP_PPPD: Final = 37
PPP_WITH_DIR: Final = 38
HDLC_WITH_DIR: Final = 39
FRAME_RELAY_WITH_DIR: Final = 40
FIBRE_CHANNEL: Final = 41
NETANALYZER: Final = 42

# 12 and 14 are the DLT_RAW of most systems and of OpenBSD, which some programs write instead of LINKTYPE_RAW; 149 is
# USER2, under which Apple's older tcpdump wrote PKTAP.
FRAMINGS: Final = {
    0: LOOPBACK,
    1: ETHERNET,
    9: PPP,
    12: RAW,
    14: RAW,
    50: PPP,
    51: PPPOE,
    100: LLC,
    101: RAW,
    104: HDLC,
    105: IEEE802_11,
    107: FRAME_RELAY,
    108: LOOPBACK,
    109: ENC,
    113: SLL,
    117: PFLOG,
    119: PRISM,
    122: FIBRE_CHANNEL,
    127: RADIOTAP,
    138: FIREWIRE,
    149: PKTAP,
    163: AVS,
    166: PPP_PPPD,
    192: PPI,
    204: PPP_WITH_DIR,
    205: HDLC_WITH_DIR,
    206: FRAME_RELAY_WITH_DIR,
    219: MPLS,
    226: IPNET,
    228: RAW_IPV4,
    229: RAW_IPV6,
    239: NFLOG,
    240: NETANALYZER,
    258: PKTAP,
    276: SLL2,
}
# The same for compiled code: int64, the framing of each number below its length.
FRAMING_TABLE: Final = np.array([FRAMINGS.get(number, UNSUPPORTED) for number in range(max(FRAMINGS) + 1)], np.int64)

# As the registry of LINKTYPE_ values at tcpdump.org has them; "-" where it has a gap.
_LOW_NAMES = {
    0: "NULL",
    1: "ETHERNET",
    2: "EXP_ETHERNET",
    3: "AX25",
    4: "PRONET",
    5: "CHAOS",
    6: "IEEE802_5",
    7: "ARCNET_BSD",
    8: "SLIP",
    9: "PPP",
    10: "FDDI",
    12: "RAW",
    14: "RAW",
    50: "PPP_HDLC",
    51: "PPP_ETHER",
    99: "SYMANTEC_FIREWALL",
}
_NAMES_FROM_100 = """
    ATM_RFC1483 RAW SLIP_BSDOS PPP_BSDOS C_HDLC IEEE802_11 ATM_CLIP FRELAY LOOP ENC LANE8023 HIPPI NETBSD_HDLC
    LINUX_SLL LTALK ECONET IPFILTER PFLOG CISCO_IOS IEEE802_11_PRISM IEEE802_11_AIRONET HHDLC IP_OVER_FC SUNATM RIO
    PCI_EXP AURORA IEEE802_11_RADIOTAP TZSP ARCNET_LINUX JUNIPER_MLPPP JUNIPER_MLFR JUNIPER_ES JUNIPER_GGSN
    JUNIPER_MFR JUNIPER_ATM2 JUNIPER_SERVICES JUNIPER_ATM1 APPLE_IP_OVER_IEEE1394 MTP2_WITH_PHDR MTP2 MTP3 SCCP DOCSIS
    LINUX_IRDA IBM_SP IBM_SN USER0 USER1 USER2 USER3 USER4 USER5 USER6 USER7 USER8 USER9 USER10 USER11 USER12 USER13
    USER14 USER15 IEEE802_11_AVS JUNIPER_MONITOR BACNET_MS_TP PPP_PPPD JUNIPER_PPPOE JUNIPER_PPPOE_ATM GPRS_LLC GPF_T
    GPF_F GCOM_T1E1 GCOM_SERIAL JUNIPER_PIC_PEER ERF_ETH ERF_POS LINUX_LAPD JUNIPER_ETHER JUNIPER_PPP JUNIPER_FRELAY
    JUNIPER_CHDLC MFR JUNIPER_VP A429 A653_ICM USB_FREEBSD BLUETOOTH_HCI_H4 IEEE802_16_MAC_CPS USB_LINUX CAN20B
    IEEE802_15_4_LINUX PPI IEEE802_16_MAC_CPS_RADIO JUNIPER_ISM IEEE802_15_4_WITHFCS SITA ERF RAIF1 IPMB_KONTRON
    JUNIPER_ST BLUETOOTH_HCI_H4_WITH_PHDR AX25_KISS LAPD PPP_WITH_DIR C_HDLC_WITH_DIR FRELAY_WITH_DIR LAPB_WITH_DIR -
    I2C_LINUX FLEXRAY MOST LIN X2E_SERIAL X2E_XORAYA IEEE802_15_4_NONASK_PHY LINUX_EVDEV GSMTAP_UM GSMTAP_ABIS MPLS
    USB_LINUX_MMAPPED DECT AOS WIHART FC_2 FC_2_WITH_FRAME_DELIMS IPNET CAN_SOCKETCAN IPV4 IPV6 IEEE802_15_4_NOFCS
    DBUS JUNIPER_VS JUNIPER_SRX_E2E JUNIPER_FIBRECHANNEL DVB_CI MUX27010 STANAG_5066_D_PDU JUNIPER_ATM_CEMIC NFLOG
    NETANALYZER NETANALYZER_TRANSPARENT IPOIB MPEG_2_TS NG40 NFC_LLCP PFSYNC INFINIBAND SCTP USBPCAP RTAC_SERIAL
    BLUETOOTH_LE_LL WIRESHARK_UPPER_PDU NETLINK BLUETOOTH_LINUX_MONITOR BLUETOOTH_BREDR_BB BLUETOOTH_LE_LL_WITH_PHDR
    PROFIBUS_DL PKTAP EPON IPMI_HPM_2 ZWAVE_R1_R2 ZWAVE_R3 WATTSTOPPER_DLM ISO_14443 RDS USB_DARWIN OPENFLOW SDLC
    TI_LLN_SNIFFER LORATAP VSOCK NORDIC_BLE DOCSIS31_XRA31 ETHERNET_MPACKET DISPLAYPORT_AUX LINUX_SLL2 SERCOS_MONITOR
    OPENVIZSLA EBHSCR VPP_DISPATCH DSA_TAG_BRCM DSA_TAG_BRCM_PREPEND IEEE802_15_4_TAP DSA_TAG_DSA DSA_TAG_EDSA ELEE
    Z_WAVE_SERIAL USB_2_0 ATSC_ALP ETW NETANALYZER_NG ZBOSS_NCP USB_2_0_LOW_SPEED USB_2_0_FULL_SPEED
    USB_2_0_HIGH_SPEED AUERSWALD_LOG ZWAVE_TAP SILABS_DEBUG_CHANNEL FIRA_UCI
"""
NAMES: Final = _LOW_NAMES | {100 + i: name for i, name in enumerate(_NAMES_FROM_100.split()) if name != "-"}


def link_type_name(link_type: int) -> str:
    """Name without its LINKTYPE_, such as "ETHERNET"."""
    return NAMES.get(link_type, "unknown")


def link_type_label(link_type: int) -> str:
    """Name and number, such as "ETHERNET (1)"."""
    return f"{link_type_name(link_type)} ({link_type})"


def framing_of(link_type: int) -> int:
    """Framing of a link type: ETHERNET, RAW, ...; UNSUPPORTED where no IP is read from it."""
    return FRAMINGS.get(link_type, UNSUPPORTED)


def refusal(link_type: int, path: str) -> LinkTypeError:
    """The error that names `link_type`."""
    return LinkTypeError(
        f"link type {link_type_label(link_type)} of {path} cannot be replayed: no IP is read from it"
        " (docs/run.md lists the link types that are read); leave it out, or record on an Ethernet interface"
    )


def passing_over(link_type: int, path: str) -> str:
    """What is told of records that are counted and not read, where others of the file are."""
    return (
        f"{path} has records of link type {link_type_label(link_type)}, from which no IP is read: they are counted,"
        " and passed over"
    )
