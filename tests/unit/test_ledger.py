"""The ledger: when it closes, how it adds up, what the document says of it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from zcframe.framework.stats import Ledger

FIRST = Ledger(
    arrived=100,
    delivered=80,
    nic_drop=5,
    ring_full=10,
    in_flight=5,
    accepted=60,
    faulted=3,
    truncated=2,
    dropped_by={"filter": 10, "synflood": 7},
    faulted_by={"dns": 3},
)
SECOND = Ledger(arrived=7, delivered=7, accepted=4, dropped_by={"synflood": 3}, at_least=True)


def test_an_empty_ledger_closes() -> None:
    assert Ledger().closes()
    assert Ledger().loss == 0.0


def test_a_full_one_closes() -> None:
    assert FIRST.closes()
    assert SECOND.closes()


@pytest.mark.parametrize("row", ["arrived", "delivered", "nic_drop", "ring_full", "in_flight", "accepted", "faulted"])
def test_one_frame_astray_in_any_row_and_it_does_not_close(row: str) -> None:
    assert not replace(FIRST, **{row: getattr(FIRST, row) + 1}).closes()


def test_one_frame_astray_under_a_plugins_name_and_it_does_not_close() -> None:
    assert not replace(FIRST, dropped_by={"filter": 10, "synflood": 8}).closes()


def test_the_sum_has_every_row_and_name() -> None:
    both = FIRST + SECOND
    assert both == Ledger(
        arrived=107,
        delivered=87,
        nic_drop=5,
        ring_full=10,
        in_flight=5,
        accepted=64,
        faulted=3,
        truncated=2,
        dropped_by={"filter": 10, "synflood": 10},
        faulted_by={"dns": 3},
        at_least=True,
    )
    assert both.closes()


def test_adding_is_associative_and_leaves_its_parts_alone() -> None:
    third = Ledger(arrived=2, delivered=1, ring_full=1, accepted=1)
    sums = {
        str((a + b) + c) for a, b, c in itertools.permutations([FIRST, SECOND, third]) if a is FIRST and b is SECOND
    }
    assert sums == {str(FIRST + (SECOND + third))}
    assert FIRST.dropped_by == {"filter": 10, "synflood": 7}


def test_loss_counts_what_no_worker_saw_and_not_what_a_plugin_dropped() -> None:
    assert FIRST.lost == 15
    assert FIRST.loss == 0.15
    assert SECOND.loss == 0.0


def test_the_document_has_the_rows_of_the_schema_and_faults_by_name_only_where_there_are_some() -> None:
    into_ring = ["arrived", "delivered", "nic_drop", "ring_full", "in_flight"]
    assert list(SECOND.as_json()) == [*into_ring, "accepted", "faulted", "truncated", "dropped_by", "at_least"]
    assert FIRST.as_json()["faulted_by"] == {"dns": 3}
    assert FIRST.as_json()["at_least"] is False
