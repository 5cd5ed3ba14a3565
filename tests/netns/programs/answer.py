"""A name server that knows no name; arguments: ADDRESS. It answers every question with NXDOMAIN, by UDP."""

from __future__ import annotations

import socket
import sys

# QR, RA and rcode 3 (RFC 1035, 4.1.1), in place of a question's flags.
NO_SUCH_NAME = bytes.fromhex("8183")


def main(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        print("ready", flush=True)
        while True:
            question, client = server.recvfrom(4096)
            server.sendto(question[:2] + NO_SUCH_NAME + question[4:], client)


main(*sys.argv[1:])
