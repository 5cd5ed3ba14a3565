"""What zcframe says to Wireshark, in the sentences of extcap(4): interfaces, link type, options, the toolbar.

An interface is called `zc:NAME`, and one of its receive queues `zc:NAME:QUEUE`: a colon is in no name of Linux's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from zcframe import __version__
from zcframe.framework.config import BACKENDS

PREFIX: Final = "zc:"
# Controls of the toolbar.
LOG, LOST = 0, 1
BACKEND, PROMISCUOUS, SNAPLEN = range(3)


def _sentence(word: str, **values: object) -> str:
    """Signs that end a value are taken out of it."""
    clean = {name: str(value).translate(str.maketrans("{}\n", "() ")) for name, value in values.items()}
    return f"{word} " + "".join(f"{{{name}={value}}}" for name, value in clean.items())


def interface_sentences(interfaces: Mapping[str, int]) -> Iterator[str]:
    """What can be captured. interfaces: how many receive queues each has, 1 where they cannot be told apart."""
    yield _sentence("extcap", version=__version__, display="zcframe")
    for name, queues in interfaces.items():
        yield _sentence("interface", value=f"{PREFIX}{name}", display=f"zcframe: {name}")
        for queue in range(queues if queues > 1 else 0):
            yield _sentence("interface", value=f"{PREFIX}{name}:{queue}", display=f"zcframe: {name}, queue {queue}")
    yield _sentence(
        "control", number=LOG, type="button", role="logger", display="Log", tooltip="What zcframe said of this capture"
    )
    yield _sentence(
        "control", number=LOST, type="string", display="Lost", tooltip="Frames that were lost on the way, by zcframe"
    )


def link_type_sentences() -> Iterator[str]:
    """Frames without an Ethernet header get one."""
    yield _sentence("dlt", number=1, name="EN10MB", display="Ethernet")


def option_sentences() -> Iterator[str]:
    """Options of a capture."""
    words = "How frames are taken from the interface"
    yield _sentence("arg", number=BACKEND, call="--backend", display="Backend", type="selector", tooltip=words)
    for name in ("auto", *BACKENDS):
        yield _sentence("value", arg=BACKEND, value=name, display=name, default=str(name == "auto").lower())
    words = "Leave the interface's promiscuous mode as it is"
    yield _sentence(
        "arg", number=PROMISCUOUS, call="--no-promiscuous", display="Not promiscuous", type="boolflag", tooltip=words
    )
    more = {"type": "integer", "range": "1,262144", "tooltip": "Bytes of a frame that are captured at most"}
    yield _sentence("arg", number=SNAPLEN, call="--snaplen", display="Snapshot length", **more)
