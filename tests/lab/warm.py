"""python warm.py SOCKET: zcframe, imported once; a child of this process runs each command that comes by the socket.

A start of the command is seconds of imports on an emulated processor, and here a fork. Each child runs `python -m
zcframe` by the package's own __main__, with streams and words of the client, `guest/warm.c`. `-c TEXT` is a script.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import runpy
import socket
import struct
import sys

LONGEST = 8192
STREAMS = 3


def import_all(package: str) -> None:
    """Every module of a package but its __main__."""
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, f"{package}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _adopt(client: socket.socket) -> list[str]:
    """Take the client's streams for our own; the words of its command."""
    text, streams, _, _ = socket.recv_fds(client, LONGEST, STREAMS)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return text.decode().split("\0")[:-1]


def _keep(client: socket.socket) -> list[str] | None:
    """The words, in the child that runs them; None in the process that waits for it, when it has told its end."""
    words = _adopt(client)
    pid = os.fork()
    if not pid:
        client.close()
        return words
    client.sendall(struct.pack("=i", pid))
    _, status = os.waitpid(pid, 0)
    client.sendall(struct.pack("=i", os.waitstatus_to_exitcode(status)))
    return None


def serve(path: str) -> list[str]:
    """The words of a command, in a process of its own for each."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()
        print("READY", flush=True)
        while True:
            client, _ = server.accept()
            if os.fork():
                client.close()
                # Those that ended meanwhile.
                while _reap():
                    pass
                continue
            server.close()
            words = _keep(client)
            if words is None:
                os._exit(0)
            return words


def _reap() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] > 0
    except ChildProcessError:
        return False


def main() -> None:
    import_all("zcframe")
    # What is there now stays for good: a child's collector does not touch it, and so copies no page of it.
    gc.freeze()
    words = serve(sys.argv[1])
    if words[0] == "-c":
        exec(compile(words[1], "-c", "exec"), {"__name__": "__main__"})
        return
    sys.argv = ["zcframe", *words]
    runpy.run_module("zcframe", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
