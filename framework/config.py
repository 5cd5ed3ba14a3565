"""Every option of `zcframe run`, from the command line, a TOML file and the defaults, in that order.

One frozen dataclass holds them; each field carries its documentation and its parser, from which cli builds the command
line and this module reads the file. Nothing here imports numpy or numba: `zcframe --help` must be quick.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from .errors import UsageError
from .nearest import hint

MAX_QUEUES = 16
DEFAULT_QUEUES = 8
MIN_SLOTS = 64
MAX_SLOTS = 65536
TRACE_PPS = 100_000.0
MAX_GAP = 10.0
FOREVER = 0
STDIN = "-"

PLUGIN_FILE = re.compile(r"[^?]*\.py(:[^?]*)?(\?|$)")
RATE_SUFFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}

# Options that exclude each other: a layer that sets one of them hides the other in the layers below.
EXCLUSIVE = (("pps", "speed"),)
# Live sources. What each is, and which of them "auto" takes, says sources/backends.py, which is no import for us.
BACKENDS = ("zerocopy", "packet", "xdp")
LIVE_ONLY = ("backend", "fanout", "force", "hugepages", "no_promiscuous", "tune")
# Instead of an interface: all of this network namespace, as tcpdump has it.
ANY = "any"


# What --shed takes, and the most packets that it leaves to a flow.
SHED_MODES = ("off", "new", "elephants")
MOST_KEPT = 1_000_000


# An output that has a command for each share, where one is given.
FOR_COMMANDS = re.compile(r"fifo:[^,]*\{\}")


def takes_commands(out: str) -> bool:
    """Whether the words of an --out name a FIFO for each share."""
    return bool(FOR_COMMANDS.match(out))


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not raw:
        raise ValueError("a text is needed")
    return raw


def _number_or_text(raw: Any) -> str:
    return str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else _text(raw)


def _texts(raw: Any) -> tuple[str, ...]:
    items = [raw] if isinstance(raw, str) else raw
    if not isinstance(items, list | tuple) or not items or not all(isinstance(item, str) and item for item in items):
        raise ValueError("a name, or a list of names, is needed")
    return tuple(items)


def _flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise ValueError("true or false is needed")
    return raw


def _choice(*choices: str) -> Callable[[Any], str]:
    def parse(raw: Any) -> str:
        if raw not in choices:
            raise ValueError(f"{' or '.join(choices)} is needed")
        return str(raw)

    return parse


def _whole(low: int, high: int | None, too_low: str, too_high: str = "") -> Callable[[Any], int]:
    def parse(raw: Any) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int | str):
            raise ValueError("a whole number is needed")
        try:
            value = int(raw)
        except ValueError:
            raise ValueError("a whole number is needed") from None
        if value < low:
            raise ValueError(too_low)
        if high is not None and value > high:
            raise ValueError(too_high)
        return value

    return parse


def _number(raw: Any) -> float:
    try:
        value = float(raw) if isinstance(raw, int | float | str) and not isinstance(raw, bool) else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("a number is needed")
    return value


def _positive(what: str) -> Callable[[Any], float]:
    def parse(raw: Any) -> float:
        value = _number(raw)
        if value <= 0:
            raise ValueError(f"{what} must be above 0")
        return value

    return parse


def _seconds(raw: Any) -> float:
    value = _number(raw)
    if value < 0:
        raise ValueError("seconds are needed, 0 for no bound")
    return value


def _rate(raw: Any) -> float:
    factor = RATE_SUFFIXES.get(raw[-1:], 1.0) if isinstance(raw, str) else 1.0
    return _positive("the rate")(raw if factor == 1.0 else raw[:-1]) * factor


def octets(raw: Any) -> int:
    """A number of bytes from 1 on, with k, M or G behind it where wanted. Raises ValueError with what is needed."""
    number, factor = raw, 1
    if isinstance(raw, str) and raw[-1:] in RATE_SUFFIXES:
        number, factor = raw[:-1], int(RATE_SUFFIXES[raw[-1:]])
    needed = "a number of bytes from 1 on is needed, k, M or G behind it where wanted"
    try:
        return _whole(1, None, needed)(number) * factor
    except ValueError:
        raise ValueError(needed) from None


def shed_mode(raw: Any) -> str:
    """Which flows are shed. Raises ValueError with what is needed."""
    return _choice(*SHED_MODES)(raw)


def kept_packets(raw: Any) -> int:
    """How many packets of a flow go on in any case. Raises ValueError with what is needed."""
    return _whole(0, MOST_KEPT, "a number of packets is needed, 0 for none", f"{MOST_KEPT} packets are the most")(raw)


def _patience(raw: Any) -> float:
    text = raw.strip().lower() if isinstance(raw, str) else raw
    value = math.inf if text in ("inf", math.inf) else _number(raw)
    if value < 0:
        raise ValueError("0 or more seconds are needed, inf for no limit")
    return value


def _fraction(raw: Any) -> float:
    value = _number(raw)
    if not 0.0 <= value <= 1.0:
        raise ValueError("a fraction from 0 to 1 is needed; 0.01 is one frame in a hundred")
    return value


def _slots(raw: Any) -> int:
    needed = f"a power of two from {MIN_SLOTS} to {MAX_SLOTS} is needed"
    value = _whole(MIN_SLOTS, MAX_SLOTS, needed, needed)(raw)
    if value & (value - 1):
        raise ValueError(needed)
    return value


_queues = _whole(1, MAX_QUEUES, "at least one receive queue is needed", f"zcframe has at most {MAX_QUEUES}")


@dataclass(frozen=True)
class Option:
    """How a field is given: `name` on the command line and in the file, its parser, its line of help."""

    name: str
    parse: Callable[[Any], Any]
    metavar: str
    doc: str
    in_file: bool = True
    many: bool = False


def _option(
    default: Any, name: str, parse: Callable[[Any], Any], metavar: str, doc: str, **more: bool
) -> Any:  # the field's own annotation is its type
    return field(default=default, metadata={"option": Option(name, parse, metavar, doc, **more)})


@dataclass(frozen=True)
class RunConfig:
    """What `zcframe run` is to do. Fields that were not given (`None`) are filled in from the others when it is made.

    After that `loop` is a number (0: for ever), and exactly one of `pps` and `speed` is set. Where an interface
    is named and no number of queues is given, framework/supervisor/workers.py puts one in when the run is prepared.
    """

    queues: int = _option(
        DEFAULT_QUEUES,
        "queues",
        _queues,
        "N",
        "receive queues, 1 to 16, a worker each (8; with --iface as many as suit it and the CPUs)",
    )
    read: tuple[str, ...] = _option(
        (), "read", _texts, "FILE", "capture files, pcap or pcapng (the bundled trace, for ever)", many=True
    )
    iface: tuple[str, ...] = _option(
        (), "iface", _texts, "IFACE", "capture live from this interface, from several at once, or from any", many=True
    )
    backend: str = _option(
        "auto",
        "backend",
        _choice("auto", *BACKENDS),
        "|".join(("auto", *BACKENDS)),
        "how to capture live; auto: zerocopy where the driver shares its rings, else packet (auto)",
    )
    fanout: Literal["hash", "qm", "ip-pair"] = _option(
        "hash",
        "fanout",
        _choice("hash", "qm", "ip-pair"),
        "hash|qm|ip-pair",
        "how the packet source shares frames out: by flow, by receive queue, by pair of addresses (hash)",
    )
    force: bool = _option(
        False, "force", _flag, "", "take all traffic of an interface by xdp even where this machine's own goes that way"
    )
    no_promiscuous: bool = _option(
        False, "no-promiscuous", _flag, "", "leave the interface's promiscuous mode as it is (packet, xdp)"
    )
    no_sandbox: bool = _option(
        False, "no-sandbox", _flag, "", "leave workers and readers what a debugger needs (docs/security.md)"
    )
    loop: int | None = _option(
        None,
        "loop",
        _whole(FOREVER, None, "a number of rounds is needed, 0 for no end"),
        "N",
        "replay the files N times, 0 for ever (1)",
    )
    pps: float | None = _option(
        None, "pps", _rate, "RATE", "replay at RATE packets a second, such as 250k; frames that find no room are lost"
    )
    speed: Literal["original", "max"] | None = _option(
        None,
        "speed",
        _choice("original", "max"),
        "original|max",
        "replay at the pace of the recording, or as fast as the workers take it, without loss (max)",
    )
    max_gap: float | None = _option(
        None,
        "max-gap",
        _seconds,
        "S",
        "with --speed original: a longer gap between two packets is told and takes S seconds, 0 for no bound (10)",
    )
    plugins: tuple[str, ...] = _option(
        ("flows", "sizes"),
        "plugin",
        _texts,
        "SPEC",
        "NAME, path.py or module:Class, with ?param=value&... ; again for the next in the chain (flows, sizes)",
        many=True,
    )
    filter: str = _option(
        "",
        "filter",
        _text,
        "EXPR",
        "a tcpdump expression: plugins see the packets that match; also as words behind the options (all packets)",
    )
    rss_key: str = _option(
        "symmetric",
        "rss-key",
        _text,
        "KEY",
        "microsoft, symmetric, random or 40 bytes as hex digits (symmetric: both directions of a flow in one queue)",
    )
    rss_fields: str = _option(
        "5-tuple",
        "rss-fields",
        _choice("ip-pair", "5-tuple"),
        "ip-pair|5-tuple",
        "what the NIC hashes (5-tuple; ip-pair where --out has shares by ip-pair)",
    )
    cpus: str = _option("auto", "cpus", _text, "auto|LIST", "CPUs for the workers, such as 0-3,8 (auto)")
    tune: bool = _option(
        False, "tune", _flag, "", "with --iface: tune interface and kernel for this capture, and undo it at the end"
    )
    ring_slots: int = _option(
        4096, "ring-slots", _slots, "N", "frames that a ring holds, a power of two, 64 to 65536 (4096)"
    )
    hugepages: bool = _option(False, "hugepages", _flag, "", "User Buffers in huge pages of 2 MiB (zerocopy)")
    verify_rss: bool = _option(
        False, "verify-rss", _flag, "", "compute each frame's hash again, and compare hash and queue with the card's"
    )
    out: tuple[str, ...] = _option(
        (),
        "out",
        _texts,
        "SPEC",
        "hand frames on: pcap:FILE, pcapng:FILE or fifo:PATTERN, with ,OPTION=VALUE...; again for another output",
        many=True,
    )
    shares: str | None = _option(
        None,
        "shares",
        _number_or_text,
        "N|N:N...",
        "share out the frames of an output whose name has {} in it, the number of the share; or a weight for each",
    )
    share: str | None = _option(
        None, "share", _text, "RULE", "what decides on a share: ip-pair, 5-tuple, queue, vlan or inner (ip-pair)"
    )
    on_dead: str | None = _option(
        None,
        "on-dead",
        _choice("drain", "drop"),
        "drain|drop",
        "flows of a share that nobody reads: to the other shares until it is read again, or dropped (drop)",
    )
    rows: tuple[str, ...] = _option(
        (),
        "rows",
        _texts,
        "SPEC",
        "write the records that plugins emit, a line each: json:FILE, csv:FILE, with ,OPTION=VALUE...; - is stdout",
        many=True,
    )
    out_wait: float = _option(
        math.inf, "out-wait", _patience, "S", "wait S seconds at most until every FIFO has its reader (inf)"
    )
    shed: str = _option(
        "off",
        "shed",
        shed_mode,
        "|".join(SHED_MODES),
        "leave whole flows out while an output does not keep up: those that begin, or the largest ones (off)",
    )
    shed_keep: int = _option(
        10, "shed-keep", kept_packets, "K", "the first K packets of a flow that is shed go on all the same (10)"
    )
    shunt: int | None = _option(
        None, "shunt", octets, "BYTES", "of each flow only the first BYTES go on to an output, such as 1M (all)"
    )
    count_flows: bool = _option(
        False, "count-flows", _flag, "", "count each output's flows, and those that only one direction was seen of"
    )
    duration: float | None = _option(None, "duration", _positive("the duration"), "S", "end after S seconds")
    count: int | None = _option(
        None, "count", _whole(1, None, "at least one packet is needed"), "N", "end after N packets"
    )
    drain: float = _option(
        1.5, "drain", _patience, "S", "at the end, give workers S seconds to empty their rings; 0: none, inf: all (1.5)"
    )
    max_loss: float | None = _option(
        None, "max-loss", _fraction, "FRACTION", "exit code 3 if more than FRACTION of the frames were lost, 0 to 1"
    )
    stats_interval: float | None = _option(
        None,
        "stats-interval",
        _positive("the interval"),
        "S",
        "report every S seconds: a line of JSON on stderr with --json, else the live view or a line of text",
    )
    ctl: str | None = _option(
        None, "ctl", _text, "PATH", "make a UNIX socket there, by which zcframe ctl asks how the run goes, or ends it"
    )
    json: bool = _option(False, "json", _flag, "", "one JSON document on stdout, all else on stderr", in_file=False)
    check: bool = _option(False, "check", _flag, "", "print the resolved plan and stop", in_file=False)
    verbose: bool = _option(False, "verbose", _flag, "", "more on stderr: details of errors, debug logs", in_file=False)
    # Words of the command that reads each share of a FIFO; no option, but what stands behind --.
    command: tuple[str, ...] = ()
    # Descriptor of a file that gets all records that plugins emit; no option, but what a program asks for.
    records_to: int | None = None
    # Names of the fields that were given, so that an explicit value can be told from a default.
    given: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.pps is not None and self.speed is not None:
            raise UsageError("--pps and --speed both set the pace: give one of them")
        if self.iface:
            self._refuse_beside_any()
            self._refuse_replay()
            return
        self._refuse_live()
        if self.loop is None:
            object.__setattr__(self, "loop", 1 if self.read else FOREVER)
        if self.pps is None and self.speed is None:
            pace = ("speed", "max") if self.read else ("pps", TRACE_PPS)
            object.__setattr__(self, *pace)
        if self.speed != "original" and self.max_gap is not None:
            raise UsageError("--max-gap: only --speed original has the gaps of the recording")

    def _refuse_replay(self) -> None:
        """Refuse options of a replay, which have no meaning on an interface."""
        for name in ("read", "loop", "pps", "speed", "max_gap"):
            if getattr(self, name) not in ((), None):
                shown, option = " ".join(self.iface), OPTIONS[name].name
                raise UsageError(f"--iface {shown} and --{option}: an interface is not replayed, give one of them")
        again = [name for name in self.iface if self.iface.count(name) > 1]
        if again:
            raise UsageError(f"--iface {again[0]}: named twice")

    def _refuse_beside_any(self) -> None:
        """Refuse what needs an interface of one's own, where all of them are captured at once."""
        if ANY not in self.iface:
            return
        if len(self.iface) > 1:
            shown = " ".join(self.iface)
            raise UsageError(f"--iface {shown}: {ANY} is every interface already, give it alone")
        if self.tune:
            raise UsageError(f"--iface {ANY} and --tune: only interfaces that are named are tuned")

    def _refuse_live(self) -> None:
        """Refuse options of live capture, which have no meaning in a replay."""
        for name in LIVE_ONLY:
            if name in self.given:
                raise UsageError(f"--{OPTIONS[name].name}: only live capture has it, name an --iface")

    @property
    def bundled(self) -> bool:
        """Whether no source was named, so that the bundled trace is replayed."""
        return not self.read and not self.iface


OPTIONS: dict[str, Option] = {f.name: f.metadata["option"] for f in fields(RunConfig) if "option" in f.metadata}
FILE_KEYS = {option.name: name for name, option in OPTIONS.items() if option.in_file}


def _parse(name: str, raw: Any, label: str) -> Any:
    try:
        return OPTIONS[name].parse(raw)
    except ValueError as error:
        raise UsageError(f"{label}: {error}") from None


def _shown(raw: Any) -> str:
    return " ".join(str(item) for item in raw) if isinstance(raw, list | tuple) else str(raw)


def _from_command_line(given: Mapping[str, Any]) -> dict[str, Any]:
    layer = {}
    for name, raw in given.items():
        if name in OPTIONS:
            layer[name] = _parse(name, raw, f"--{OPTIONS[name].name} {_shown(raw)}")
    return layer


def _anchored(name: str, value: Any, folder: Path) -> Any:
    """The value with its paths resolved from the folder of the TOML file, not from the working directory."""
    if name == "read":
        return tuple(path if path == STDIN else str(folder / path) for path in value)
    if name == "plugins":
        return tuple(str(folder / spec) if PLUGIN_FILE.match(spec) else spec for spec in value)
    return value


def _from_file(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        text = path.read_bytes().decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: not a TOML file: {error}") from error
    layer = {}
    for key, raw in document.items():
        name = FILE_KEYS.get(key.replace("_", "-"))
        if name is None:
            raise UsageError(f"{path}: there is no option {key!r}{hint(key, FILE_KEYS)}")
        layer[name] = _anchored(name, _parse(name, raw, f"{path}: {key} = {_shown(raw)}"), path.parent)
    return layer


def load(given: Mapping[str, Any]) -> RunConfig:
    """Resolve the options that the command line names (`given`: field name to text, list of texts or True).

    `given["config"]`, where present, names the TOML file below it. Raises UsageError, which names option and remedy.
    """
    lower = _from_file(Path(given["config"])) if given.get("config") else {}
    upper = _from_command_line(given)
    for pair in EXCLUSIVE:
        if any(name in upper for name in pair):
            lower = {name: value for name, value in lower.items() if name not in pair}
    chosen = lower | upper
    return RunConfig(**chosen, given=frozenset(chosen))
