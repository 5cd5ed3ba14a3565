"""The outputs of a run: their memory, their writers, and their ledgers."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from zcframe.framework import abi
from zcframe.framework.chain.handover import BOOK, FRAMES, FULL, LINE, TALLY, HandOver
from zcframe.framework.chain.shedding import FLOWS, ONE_SIDED, REASONS
from zcframe.framework.chain.workspace import GENERATION
from zcframe.framework.child import cause_of
from zcframe.framework.config import takes_commands
from zcframe.framework.errors import OutputError, UsageError, ZcframeError, refusal
from zcframe.framework.outputs.output import Output
from zcframe.framework.outputs.rows.ledger import records_ledgers
from zcframe.framework.outputs.rows.output import Nobody, Rows
from zcframe.framework.outputs.writer.account import COUNT, FAULT_SIZE, Account
from zcframe.framework.outputs.writer.process import DRAIN, END, Feed, write
from zcframe.framework.outputs.writer.rings import OutputRings
from zcframe.framework.privileges import drop_to_writing
from zcframe.framework.ring import Mapping, make_memory
from zcframe.framework.share import share_table
from zcframe.framework.stats.events import Events
from zcframe.framework.stats.outputs import OutputStats, ShareLedger
from zcframe.framework.stats.rows import RowsStats
from zcframe.framework.worker.post import Post

from .commands import Commands
from .flows import FlowsSeen
from .process import Process

# Why frames that are past a ring were not written, by the word that counts them.
NOT_WRITTEN: Final = {
    "no_reader": COUNT.absent,
    "unread": COUNT.unread,
    "uncertain": COUNT.uncertain,
    "refused": COUNT.refused,
    "down": COUNT.down,
}
# Deaths in a row in which a writer wrote nothing.
FUTILE: Final = 20


def let_go(output: Output) -> None:
    """In a fork that does not write: what an output raises then is no concern of the fork's."""
    with contextlib.suppress(ZcframeError):
        output.let_go()


@dataclass
class Writer:
    """The writer of one output. process: None when it has ended. fault: why the output failed."""

    output: Output
    hand_over: HandOver
    rings: OutputRings
    orders_fd: int
    orders: Mapping
    accounts: list[Account]
    process: Process | None = None
    pid: int = 0
    restarts: int = 0
    futile: int = 0
    written: int = 0
    fault: str = ""
    warnings: Events = field(default_factory=Events)

    @property
    def finished(self) -> bool:
        return self.process is None


class Writers:
    """All outputs of a run; `feed()` follows the making of the workers' posts. live: frames come in their own time.

    waits: workers wait for room in their rings, and lose nothing. Raises RingError where memory does not suffice.
    """

    def __init__(self, outputs: Sequence[tuple[Output, HandOver]], workers: int, *, live: bool, waits: bool) -> None:
        self._live = live
        self.members: list[Writer] = []
        self._posts: Sequence[Post] = ()
        self.commands: Commands | None = None
        with ExitStack() as opened:
            for output, hand_over in outputs:
                self.members.append(self._make(opened, output, hand_over, workers, waits=waits))
            self._opened = opened.pop_all()

    def _make(self, opened: ExitStack, output: Output, hand_over: HandOver, workers: int, *, waits: bool) -> Writer:
        name, streams = str(output.number), output.streams
        buffer = int(output.spec.options.get("buffer", 0))
        memory = OutputRings(
            name,
            workers,
            streams.number,
            buffer,
            apart=streams.apart,
            waits=waits,
            snaplen=output.snaplen,
            table=share_table(streams.shares).tobytes() if streams.shares is not None else b"",
            rows=output.rows,
        )
        rings = opened.enter_context(closing(memory))
        fd = make_memory(f"zc-out-orders-{name}", abi.PAGE_SIZE)
        opened.callback(os.close, fd)
        orders = opened.enter_context(closing(Mapping(fd, abi.PAGE_SIZE, writable=True)))
        streamed = range(streams.number)
        accounts = [Account(rings.accounts, rings.account_offset(j), workers, rings.kinds) for j in streamed]
        return Writer(output, hand_over, rings, fd, orders, accounts)

    @property
    def rings(self) -> list[OutputRings]:
        return [member.rings for member in self.members]

    @property
    def hand_overs(self) -> list[HandOver]:
        return [member.hand_over for member in self.members]

    @property
    def memory(self) -> int:
        """Bytes that the rings take."""
        return sum(rings.memory for rings in self.rings)

    # --- start

    def open(self) -> None:
        """Make files and FIFOs. Raises UsageError, OutputError."""
        for member in self.members:
            self._opened.callback(member.output.close)
            member.output.open()

    def start_commands(self, words: Sequence[str]) -> None:
        """Start a command for each share of the one FIFO that has shares. Raises UsageError, OutputError."""
        several = [member.output for member in self.members if takes_commands(member.output.spec.text)]
        if len(several) != 1:
            texts = " and ".join(output.spec.text for output in several)
            raise UsageError(f"--out {texts}: a command behind -- reads the shares of one FIFO: name one")
        self.commands = self._opened.enter_context(closing(Commands(words, several[0])))

    def spawn_all(self, posts: Sequence[Post]) -> None:
        """Fork a writer for each output. Raises ProcessError."""
        self._posts = posts
        for member in self.members:
            if member.output.writes:
                self._spawn(member)

    def _spawn(self, member: Writer) -> None:
        feeds = [Feed(post.progress_fd, post.ring) for post in self._posts]
        confine = partial(drop_to_writing, member.output.user)

        def body() -> None:
            for other in self.members:
                if other is not member:
                    other.rings.let_go()
                    let_go(other.output)
            write(member.output, member.rings, feeds, member.orders_fd, parent, confine, live=self._live)

        parent = os.getpid()
        member.process = Process(f"zc-out-{member.output.number}", body)
        member.pid = member.process.pid

    def tend(self) -> bool:
        """Let readers in that have come; whether some are missing. Raises OutputError."""
        missing = [member.output.tend() for member in self.members if not member.fault]
        return any(missing)

    def absent(self) -> list[str]:
        """What nobody reads yet."""
        return [name for member in self.members if not member.fault for name in member.output.absent()]

    # --- watch

    def hear(self) -> None:
        """Take the news of the outputs."""
        for member in self.members:
            with contextlib.suppress(ZcframeError):
                for text in member.output.news():
                    member.warnings.append(text)

    @property
    def finished(self) -> bool:
        return all(member.finished for member in self.members)

    @property
    def all_failed(self) -> bool:
        return bool(self.members) and all(member.fault for member in self.members)

    def reap(self, member: Writer) -> None:
        """A writer has ended: replace it, unless it was done. Raises OutputError where its output has failed."""
        assert member.process is not None
        process, member.process = member.process, None
        code = process.reap()
        if code == 0:
            return
        if code is not None and code > 0:
            self._give_up(member, self._last_word(member) or f"its writer {cause_of(code)}")
        written = sum(int(account.read()[COUNT.written]) for account in member.accounts)
        member.futile = member.futile + 1 if written == member.written else 0
        member.written = written
        if member.futile >= FUTILE:
            self._give_up(member, f"its writer was {cause_of(code)} {FUTILE} times and does not get on")
        member.restarts += 1
        member.warnings.append(f"the writer of {member.output.spec.text} was {cause_of(code)}; its successor goes on")
        try:
            for stream, account in enumerate(member.accounts):
                if account.interrupted:
                    member.output.renew(stream)
            self._spawn(member)
        except OSError as error:
            self._give_up(member, refusal(error))
        except ZcframeError as error:
            self._give_up(member, str(error))

    def _last_word(self, member: Writer) -> str:
        text = member.rings.accounts.view("u1", 0, FAULT_SIZE).tobytes()
        return text.partition(b"\0")[0].decode(errors="replace")

    def _give_up(self, member: Writer, text: str) -> None:
        prefix = member.output.prefix
        member.fault = text.removeprefix(prefix)
        member.rings.open_sluice()
        raise OutputError(f"{prefix}{member.fault}")

    @property
    def lagging(self) -> bool:
        """Whether a reader of a ring has still to read what was written."""
        streams = [(member.output, at) for member in self.members for at in range(member.rings.streams)]
        return any(row.unread for output, at in streams for row in output.readers(at))

    # --- stop

    def tell_end(self) -> None:
        """Nothing more will be written."""
        for member in self.members:
            with contextlib.suppress(ZcframeError):
                member.output.end()

    def drain(self) -> None:
        """The workers have ended: order writers to write what is left, and end."""
        self._order(DRAIN)

    def _order(self, how: int) -> None:
        for member in self.members:
            member.orders.view("u4")[0] = how

    def end(self, patience: float) -> None:
        """End all writers now."""
        self._order(END)
        deadline = time.monotonic() + patience
        for member in self.members:
            if member.process is not None:
                if not member.process.join(max(0.0, deadline - time.monotonic())):
                    member.process.kill()
                member.process.reap()
                member.process = None

    def close(self) -> None:
        """Kill writers that are left, and give everything back."""
        for member in self.members:
            if member.process is not None:
                member.process.kill()
                member.process.reap()
                member.process = None
            member.accounts.clear()
        self._opened.close()

    @property
    def commands_done(self) -> bool:
        """Whether the run was for commands alone, and all have ended."""
        alone = sum(member.output.writes for member in self.members) == 1
        return self.commands is not None and self.commands.finished and alone

    def finish(self) -> None:
        """All writers have ended: readers see the end of their streams."""
        for member in self.members:
            member.output.finish()

    # --- account

    def stats(self, seen: dict[int, FlowsSeen], *, final: bool) -> list[OutputStats]:
        """The ledgers. seen: what is known of outputs' flows, by number. final: nothing will be written any more."""
        return [
            self._stats(member, seen.get(n, FlowsSeen()), final=final)
            for n, member in enumerate(self.members)
            if member.output.rows is None
        ]

    def row_stats(self, *, final: bool) -> list[RowsStats]:
        """The ledgers of records. final: nothing will be written any more."""
        return [self._row_stats(member, final=final) for member in self.members if member.output.rows is not None]

    def _row_stats(self, member: Writer, *, final: bool) -> RowsStats:
        output, account = member.output, member.accounts[0]
        assert isinstance(output, Rows | Nobody)
        rest = "unasked" if not output.writes else "failed" if member.fault else "unwritten" if final else ""
        generations = [post.progress.view("i8", GENERATION, 1) for post in self._posts]
        records = records_ledgers(output, member.rings, account, generations, rest)
        words = account.read()
        known = (output.spec.text, output.spec.kind, member.pid, member.restarts, member.fault)
        return RowsStats(*known, int(words[COUNT.octets]), int(words[COUNT.late]), records)

    def _stats(self, member: Writer, seen: FlowsSeen, *, final: bool) -> OutputStats:
        shares = [self._share(member, seen, stream, final=final) for stream in range(member.rings.streams)]
        spec = member.output.spec
        commands = self.commands.members if self.commands and self.commands.output is member.output else ()
        rows = [command.stats() for command in commands]
        known = (spec.text, spec.kind, member.pid, member.restarts, member.fault, shares, rows)
        return OutputStats(*known, seen.largest, seen.replaced)

    def _share(self, member: Writer, seen: FlowsSeen, stream: int, *, final: bool) -> ShareLedger:
        # Against the direction in which frames travel: never more written than offered.
        words = member.accounts[stream].read()
        books = [self._book(member.rings, worker, book) for worker, book in member.rings.rings_of(stream)]
        handed, full, *tally = map(sum, zip(*books, strict=True))
        shed = {reason: frames for reason, frames in zip(REASONS, tally, strict=False) if frames}
        twice = seen.twice.get(stream, (0, 0))
        written = int(words[COUNT.written])
        reasons = {reason: int(words[at]) for reason, at in NOT_WRITTEN.items()}
        rest = handed - written - sum(reasons.values())
        reasons["ring_full"] = full
        if final or member.fault:
            reasons["failed" if member.fault else "unwritten"], rest = rest, 0
        return ShareLedger(
            share=stream,
            target=member.output.target_of(stream),
            offered=handed + full + sum(shed.values()),
            written=written,
            bytes=int(words[COUNT.octets]),
            in_flight=rest,
            dropped={reason: frames for reason, frames in reasons.items() if frames},
            shed=shed,
            late=int(words[COUNT.late]),
            readers=int(words[COUNT.readers]),
            consumers=member.output.readers(stream),
            flows=tally[FLOWS // 8] - twice[0],
            one_sided=tally[ONE_SIDED // 8] - twice[1],
        )

    def _book(self, rings: OutputRings, worker: int, book: int) -> tuple[int, ...]:
        """Frames handed on, frames that found no room, and the tally of flows, of a ring, of one moment."""
        generation = self._posts[worker].progress.view("u8", GENERATION)
        while True:
            before = int(generation[0])
            at = book * BOOK + (before & 1) * LINE
            line, tally = (rings.seen_books[worker].view("i8", place, LINE // 8) for place in (at, at + TALLY))
            found = int(line[FRAMES // 8]), int(line[FULL // 8]), *tally.tolist()
            if int(generation[0]) == before:
                return found
