"""--verify-rss: what the card says is compared with Toeplitz, frame by frame, and the first lie is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.kit.places import BUNDLED
from tests.kit.rig import Rig, read_capture
from zcframe.framework import abi
from zcframe.framework.rss import MICROSOFT_KEY, RssConfig
from zcframe.framework.rss.spread import ANYWHERE, Spread
from zcframe.framework.stats import RssCheck
from zcframe.framework.worker.verify import RssVerifier

FRAMES = read_capture(BUNDLED)[:200]
QUEUES = 4
CONFIG = RssConfig.make("microsoft", "5-tuple", QUEUES)
SPREAD = Spread.of_82576(CONFIG)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig("sizes", queues=QUEUES, key=MICROSOFT_KEY) as made:
        for frame in FRAMES:
            made.put(frame)
        yield made


@pytest.fixture
def verifiers() -> Iterator[list[RssVerifier]]:
    made = [RssVerifier(SPREAD, queue, queue) for queue in range(QUEUES)]
    yield made
    for verifier in made:
        verifier.close()


def verify_all(rig: Rig, verifiers: list[RssVerifier]) -> RssCheck:
    for verifier, worker in zip(verifiers, rig.workers, strict=True):
        verifier(worker.ctx)
    return sum((verifier.result() for verifier in verifiers), RssCheck())


def test_a_card_that_tells_the_truth(rig: Rig, verifiers: list[RssVerifier]) -> None:
    assert verify_all(rig, verifiers) == RssCheck(len(FRAMES))


def test_the_chain_may_take_what_was_verified_and_no_more(rig: Rig, verifiers: list[RssVerifier]) -> None:
    written = [int(end.header["write"][0]) for end in rig.producers]
    for verifier, worker, count in zip(verifiers, rig.workers, written, strict=True):
        assert verifier(worker.ctx) == count
        assert worker.chain.run(worker.ctx, count) == count
        assert verifier(worker.ctx) == 0


def test_frames_that_come_between_wait_to_be_verified(rig: Rig, verifiers: list[RssVerifier]) -> None:
    queue = max(range(QUEUES), key=lambda q: int(rig.producers[q].header["write"][0]))
    worker, verifier, header = rig.workers[queue], verifiers[queue], rig.producers[queue].header
    written = int(header["write"][0])
    header["write"][0] = 3
    assert verifier(worker.ctx) == 3
    header["write"][0] = written
    assert worker.chain.run(worker.ctx, 3) == 3
    assert verifier(worker.ctx) == written - 3


def test_frames_that_wait_are_counted_once(rig: Rig, verifiers: list[RssVerifier]) -> None:
    verify_all(rig, verifiers)
    assert verify_all(rig, verifiers).frames == len(FRAMES)


@pytest.mark.parametrize("field, lie", [("rss_hash", 0x80000000), ("rss_type", 1 ^ 2)])
def test_a_lie_is_counted_and_named(rig: Rig, verifiers: list[RssVerifier], field: str, lie: int) -> None:
    hashed = [np.flatnonzero(descs["rss_type"] == abi.RSS_TCP_IPV4) for descs in rig._descs]
    queue = next(q for q in range(QUEUES) if len(hashed[q]))
    slot = int(hashed[queue][-1])
    rig._descs[queue][field][slot] ^= lie
    found = verify_all(rig, verifiers)
    assert (found.frames, found.wrong_hash, found.wrong_queue) == (len(FRAMES), 1, 0)
    assert found.example.startswith(f"packet {slot} of queue {queue}: the card says hash 0x")


def test_another_table_is_noticed(rig: Rig) -> None:
    turned = CONFIG.with_reta([(queue + 1) % QUEUES for queue in CONFIG.reta], QUEUES)
    verifier = RssVerifier(Spread.of_82576(turned), 1, 1)
    worker = rig.workers[1]
    waiting = verifier(worker.ctx)
    found = verifier.result()
    verifier.close()
    assert (found.wrong_hash, found.wrong_queue) == (0, waiting)
    assert "by the card's settings it belongs to queue" in found.example
    assert waiting > 0


def test_another_key_is_noticed(rig: Rig) -> None:
    verifier = RssVerifier(Spread.of_82576(RssConfig.make("symmetric", "5-tuple", QUEUES)), 1, 1)
    verifier(rig.workers[1].ctx)
    found = verifier.result()
    verifier.close()
    assert found.wrong_hash > 0


def test_a_table_of_another_size(rig: Rig) -> None:
    """The low bits choose: a table four times as long, with the same queues in each quarter, sends frames alike."""
    longer = replace(SPREAD, table=SPREAD.table * 4)
    verifiers = [RssVerifier(longer, queue, queue) for queue in range(QUEUES)]
    assert verify_all(rig, verifiers) == RssCheck(len(FRAMES))
    swapped = replace(SPREAD, table=SPREAD.table * 2 + tuple((queue + 1) % QUEUES for queue in SPREAD.table) * 2)
    others = [RssVerifier(swapped, queue, queue) for queue in range(QUEUES)]
    assert 0 < verify_all(rig, others).wrong_queue < len(FRAMES)
    for verifier in verifiers + others:
        verifier.close()


def test_hashes_that_are_not_the_cards_are_not_compared(rig: Rig) -> None:
    for descs in rig._descs:
        descs["rss_hash"] ^= 1
    verifiers = [RssVerifier(replace(SPREAD, hashes=False), queue, queue) for queue in range(QUEUES)]
    assert verify_all(rig, verifiers) == RssCheck(len(FRAMES))
    for verifier in verifiers:
        verifier.close()


def test_frames_without_a_hash_may_come_anywhere(rig: Rig) -> None:
    unhashed = sum(
        int((descs["rss_type"][: int(end.header["write"][0])] == 0).sum())
        for descs, end in zip(rig._descs, rig.producers, strict=True)
    )
    assert unhashed > 0
    elsewhere = [RssVerifier(replace(SPREAD, unhashed=1), queue, queue) for queue in range(QUEUES)]
    assert verify_all(rig, elsewhere).wrong_queue == unhashed
    anywhere = [RssVerifier(replace(SPREAD, unhashed=ANYWHERE), queue, queue) for queue in range(QUEUES)]
    assert verify_all(rig, anywhere) == RssCheck(len(FRAMES))
    for verifier in elsewhere + anywhere:
        verifier.close()


def test_the_queue_where_a_frame_belongs_is_named(rig: Rig) -> None:
    turned = CONFIG.with_reta([(queue + 1) % QUEUES for queue in CONFIG.reta], QUEUES)
    verifier = RssVerifier(replace(Spread.of_82576(turned), hashes=False, unhashed=ANYWHERE), 1, 1)
    verifier(rig.workers[1].ctx)
    assert "of queue 1: by the card's settings it belongs to queue 2; Toeplitz 0x" in verifier.result().example
    verifier.close()
