"""An output: one way out of zcframe for frames, by its kind, its target and its options.

A kind is a class with this base, found by the entry point `zcframe.outputs`. The supervisor makes it and calls `open`
before anything runs; the writer's process, a fork, calls `sink`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol

from zcframe.framework.errors import OutputError, UsageError, ZcframeError, refusal
from zcframe.framework.jit.compiler import Job
from zcframe.framework.share import Shares

from .sink import Sink
from .taken import RowsTaken

if TYPE_CHECKING:
    from zcframe.framework.stats.outputs import ReaderStats

SNAPLEN: Final = 262144
SHARE: Final = "{}"
STDOUT: Final = "-"
ETHERNET: Final = 1
BY_QUEUE: Final = "queue"
GUARDED: Final = frozenset(
    ("targets", "open", "sink", "absent", "tend", "news", "renew", "end", "finish", "let_go", "close")
)


@dataclass(frozen=True)
class OutputSpec:
    """The words of --out: KIND:TARGET[,OPTION=VALUE...]. text: as they were given."""

    kind: str
    target: str
    options: Mapping[str, Any]
    text: str


class Input(NamedTuple):
    """What a worker reads, for those who describe it: name of the interface or file's NIC, number of its queue."""

    name: str
    queue: int


@dataclass(frozen=True)
class Streams:
    """How an output's frames are shared out over `number` streams; shares: by which rule, None where there is one.

    drains: whether the flows of a share that nobody reads go to the others; else they are dropped.
    """

    number: int = 1
    shares: Shares | None = None
    drains: bool = False

    @property
    def apart(self) -> bool:
        """Whether a worker hands on to one stream only, worker % number."""
        return self.shares is not None and self.shares.rule == BY_QUEUE


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method of an output, of whoever's package: what it raises becomes an error that names the output."""

    @functools.wraps(method)
    def called(self: Output, *arguments: Any) -> Any:
        try:
            return method(self, *arguments)
        except ZcframeError:
            raise
        except OSError as error:
            raise OutputError(f"{self.prefix}{refusal(error)}") from error
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise OutputError(f"{self.prefix}{method.__qualname__}() raised {text}") from error

    return called


class Door(Protocol):
    """`fileno()` is readable when `hear()` is due, which returns what people are to be told."""

    def fileno(self) -> int: ...

    def hear(self) -> Iterable[str]: ...


class Output:
    """Base of all outputs. number: which of the run's outputs, from 0.

    record: form in which workers leave frames, a key of RECORDS (framework/chain/handover.py). options: parsers of the
    options that this kind has beside those of all; a parser raises ValueError with what is needed. barrier: whether the
    run waits until `absent` is empty. option: of the command line, that names it. writes: whether it has a process that
    writes.
    """

    option: ClassVar[str] = "out"
    writes: ClassVar[bool] = True
    record: ClassVar[str] = "pcap"
    options: ClassVar[Mapping[str, Callable[[str], Any]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in GUARDED & cls.__dict__.keys():
            setattr(cls, name, _guarded(cls.__dict__[name]))

    def __init__(self, spec: OutputSpec, streams: Streams, inputs: Sequence[Input], number: int) -> None:
        self.spec, self.streams, self.inputs, self.number = spec, streams, inputs, number

    @classmethod
    def streams_in(cls, spec: OutputSpec) -> int:
        """How many streams one target takes apart, such as a tap with several queues; 0: a target is one stream."""
        return 0

    @property
    def rows(self) -> RowsTaken | None:
        """The records that it takes; None: it takes frames."""
        return None

    @property
    def snaplen(self) -> int:
        """Bytes of a frame that are handed on at most."""
        return int(self.spec.options.get("snaplen", SNAPLEN))

    def target_of(self, stream: int) -> str:
        """The target with the stream's number in it."""
        return self.spec.target.replace(SHARE, str(stream))

    def targets(self) -> tuple[str, ...]:
        """Names of all that it writes to: no other output may have one of them."""
        return tuple(self.target_of(stream) for stream in range(self.streams.number))

    @property
    def prefix(self) -> str:
        """What stands in front of all that is said of it."""
        return f"--{self.option} {self.spec.text}: "

    def refuse(self, reason: str) -> UsageError:
        return UsageError(f"{self.prefix}{reason}")

    @property
    def user(self) -> str:
        """Name of the user that the writer becomes; "": it stays who it is."""
        return str(self.spec.options.get("user", ""))

    def open(self) -> None:
        """Make sure that there is something to write to. Raises UsageError, OutputError."""
        raise NotImplementedError

    def sink(self, stream: int) -> Sink:
        """In the writer's process: where a stream's records go."""
        raise NotImplementedError

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Functions that its sinks call, to be compiled before the start."""
        return ()

    def doors(self) -> Sequence[Door]:
        """What the supervisor is to listen to, besides the writer."""
        return ()

    def readers(self, stream: int) -> Sequence[ReaderStats]:
        """Programs that read a stream, each with a ledger of its own."""
        return ()

    def end(self) -> None:
        """All is written: tell those who read."""

    def absent(self) -> Sequence[str]:
        """Names of what nobody reads yet; the run waits for them."""
        return ()

    def tend(self) -> bool:
        """See to readers that have come; whether some are missing, so that this is called again soon.

        In the supervisor, ten times a second or more while frames flow.
        """
        return False

    def news(self) -> Sequence[str]:
        """Lines about what has changed of what it writes to since the last call, while frames flow."""
        return ()

    def renew(self, stream: int) -> None:
        """A writer died in a write to this stream: make ready what its successor needs. Raises OutputError."""

    def finish(self) -> None:
        """All is written: let readers see the end of their streams."""
        self.let_go()

    def let_go(self) -> None:
        """In a fork that does not write: close what the supervisor opened for the writer."""

    def close(self) -> None:
        """Give everything back, and leave nothing behind that was made for the run alone."""
