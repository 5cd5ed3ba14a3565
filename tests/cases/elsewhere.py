"""Cases that need more than a file: which tests hold them, and which reports they are after."""

from __future__ import annotations

from typing import NamedTuple


class Held(NamedTuple):
    """tests: file below tests/ and name of the function."""

    reported: tuple[str, ...]
    tests: tuple[str, ...]


ELSEWHERE = {
    # Interfaces are those of the process's network namespace, whatever /sys/class/net shows.
    "entered-by-nsenter": Held(
        ("nestybox/sysbox#1041", "systemd/systemd#6713", "netdata/netdata#5383"),
        (
            "netns/test_namespaces.py::test_xdp_takes_the_interface_that_was_named",
            "netns/test_namespaces.py::test_every_fact_is_that_of_ip",
        ),
    ),
    # Names that `ip link property add` gives, and the kernel's look-up takes.
    "alternative-name": Held(
        ("ipspace/netlab#2870", "nemuTUI/nemu#23"),
        ("netns/test_namespaces.py::test_names_are_understood_wherever_one_is_taken",),
    ),
    # Frames for another host's address, as on a mirror port.
    "foreign-unicast": Held(
        ("elastic/beats#700", "irtimmer/bro-xdp_packet-plugin#4"),
        ("netns/test_promiscuous.py::test_only_as_long_as_it_is_wanted",),
    ),
    # A container with `--cap-drop ALL --cap-add NET_RAW`.
    "root-with-net-raw-alone": Held(
        ("netalertx/NetAlertX#1376", "konstruktoid/Docker#1"),
        ("netns/test_rights.py::test_root_captures_with_what_it_has",),
    ),
    # Interfaces without an Ethernet header: tun, WireGuard, ppp.
    "tun-interface": Held(
        ("elastic/beats#4426", "appneta/tcpreplay#988", "netflector/netflector#179"),
        ("netns/test_without_ethernet.py::test_as_tcpdump_records_it",),
    ),
    # A setting that the kernel refused was not changed: there is nothing to put back.
    "tuned-what-the-kernel-refuses": Held(
        ("projectcalico/calico#10339", "projectcalico/calico#9815"),
        ("netns/test_nic_settings.py::test_what_the_kernel_refuses_does_not_stay_on_file",),
    ),
    # Every container has an eth0: what was changed is on file by namespace and name.
    "two-namespaces-one-name": Held(
        ("ligato/vpp-agent#147",),
        ("netns/test_nic_settings.py::test_network_namespaces_have_records_of_their_own",),
    ),
    # A capture does not end because of how it is drawn.
    "live-view-in-an-8-bit-locale": Held(
        ("Textualize/rich#826", "Textualize/rich#68", "argrento/huami-token#5"),
        (
            "e2e/test_streams.py::test_no_terminal_ends_a_capture",
            "unit/test_live.py::test_a_terminal_of_another_encoding_gets_the_view_in_its_own",
        ),
    ),
    # Named pipes, process substitution, and a pipe that is counted while its writer goes on.
    "pipes-and-process-substitution": Held(
        ("nfstream/nfstream#28", "secdev/scapy#4405", "irontec/sngrep#260"),
        (
            "cases/test_pipes.py::test_process_substitution",
            "cases/test_pipes.py::test_packets_count_while_the_pipe_is_open",
            "e2e/test_damaged_files.py::test_a_pipe_whose_writer_dies_in_a_record",
        ),
    ),
}
