"""The ledgers of an output for rows, from the books of workers and the account of its writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zcframe.framework.chain.records.tally import AREA, TALLIES, WORDS
from zcframe.framework.outputs.writer.account import Account
from zcframe.framework.outputs.writer.rings import OutputRings
from zcframe.framework.ring import Mapping
from zcframe.framework.stats.rows import RecordsLedger

from .output import Nobody, Rows

Words = np.ndarray[Any, np.dtype[np.int64]]


def _tallies(book: Mapping, kinds: int, generation: Words) -> Words:
    """Words of Tally of each kind of record, of one moment: int64[kinds, 3]. generation: of the worker's ledger."""
    while True:
        before = int(generation[0])
        found = book.view("i8", TALLIES + (before & 1) * AREA, kinds * WORDS).copy()
        if int(generation[0]) == before:
            return found.reshape(kinds, WORDS)


def records_ledgers(
    output: Rows | Nobody, rings: OutputRings, account: Account, generations: Sequence[Words], rest: str
) -> list[RecordsLedger]:
    """A ledger for each kind of record that the output takes. generations: a word for each worker's ledger.

    rest: why what is not written will not be; "": it will.
    """
    # Against the direction in which records travel: never more written than made.
    written = account.read()[account.kinds].tolist()
    found = zip(rings.seen_books, generations, strict=True)
    made = np.sum([_tallies(book, rings.kinds, generation) for book, generation in found], axis=0).tolist()
    return [
        RecordsLedger.of(output.kinds[number].name, made[number], written[number], rest) for number in output.rows.taken
    ]
