"""Sketches against exact results: within the stated bounds, and the same for any split and any grouping of a merge."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.sketches import Rows, call, empty, filled, merged
from zcframe import Bloom, CountMin, Distinct, Ewma, LogHist, Moments, Reservoir, TopK
from zcframe.framework.state.sketch.words import GOLDEN, hashed, logical, mixed

WORDS = st.integers(-(2**63), 2**63 - 1)
# Few keys, so that they come again.
KEYS = st.tuples(st.sampled_from([0, 1, 2**63 - 1]), st.integers(-4, 4))
VALUES = st.one_of(st.integers(-3, 40), st.integers(0, 2**41), st.integers(-(2**47), 2**47))
AMOUNTS = st.one_of(st.integers(0, 9), st.integers(0, 2**40))
TIMES = st.integers(0, 2**41).map(lambda ns: ns + (1 << 60))

HISTOGRAM, MOMENTS = LogHist(error=1 / 8), Moments()
DISTINCT, COUNTS, SEEN = Distinct(precision=4, exact=8), CountMin(width=16, depth=3), Bloom(capacity=8)
SAMPLE, TOP, RECENT = Reservoir(fields=("a", "b"), k=5, seed=7), TopK(key=("a", "b"), k=5), Ewma(seconds=100)

one_value, keys = st.tuples(VALUES), KEYS
counted, timed = (
    st.tuples(AMOUNTS, KEYS).map(lambda both: (both[0], *both[1])),
    st.tuples(TIMES, st.integers(-99, 2**40)),
)

# What each is given; of the first six, any split gives the same bytes.
GIVEN = {HISTOGRAM: one_value, MOMENTS: one_value, DISTINCT: keys, COUNTS: counted, SEEN: keys, SAMPLE: keys}


def name_of(kind: Any) -> str:
    return type(kind).__name__


def split(rows: Rows, data: Any) -> list[Rows]:
    """The rows in some order, in parts, of which some may be empty."""
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), min_size=1, max_size=4)))
    return [shuffled[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]


def grouped(values: Sequence[Any], data: Any) -> Any:
    """The objects merged in some grouping."""
    values = list(values)
    while len(values) > 1:
        at, size = data.draw(st.integers(0, len(values) - 2)), data.draw(st.integers(2, 3))
        values[at : at + size] = [merged(values[at : at + size])]
    return values[0]


@pytest.mark.parametrize("kind", GIVEN, ids=name_of)
@given(st.data())
@settings(deadline=None, max_examples=60)
def test_any_split_and_any_grouping_is_the_same(kind: Any, data: Any) -> None:
    rows = data.draw(st.lists(GIVEN[kind], min_size=1, max_size=40))
    parts = [filled(kind, part) for part in split(rows, data)]
    before = [part.tobytes() for part in parts]
    whole = merged([filled(kind, rows)])
    assert grouped(parts, data).tobytes() == whole.tobytes()
    assert merged([empty(kind), whole]).tobytes() == whole.tobytes()
    assert [part.tobytes() for part in parts] == before


@pytest.mark.parametrize("error", [1 / 4, 1 / 16, 1 / 64])
@given(st.lists(st.one_of(st.integers(0, 100), st.integers(0, 2**40 - 1)), min_size=1, max_size=50), st.data())
@settings(deadline=None, max_examples=60)
def test_quantiles_against_numpy(error: float, values: list[int], data: Any) -> None:
    histogram = filled(LogHist(error=error), [[value] for value in values])
    assert (histogram.count, histogram.min, histogram.max) == (len(values), min(values), max(values))
    q = data.draw(st.sampled_from([0, 0.01, 0.07, 0.5, 0.9, 0.99, 1]))
    exact = int(np.quantile(np.array(values), q, method="inverted_cdf"))
    assert abs(histogram.quantile(q) - exact) <= error * exact
    assert sum(count for _, _, count in histogram.bins()) == len(values)
    for low, high, count in histogram.bins():
        assert count == sum(low <= value <= high for value in values)


def test_values_outside_of_a_histogram() -> None:
    histogram = filled(LogHist(high=1000), [[-5], [7], [10**6], [2**62], [2**63 - 1]])
    assert (histogram.count, histogram.min, histogram.max) == (5, 0, 2**62 - 1)
    assert histogram.quantile(0.4) == 7 and histogram.p50 == histogram.p99 == 2**62 - 1
    assert (empty(LogHist()).count, empty(LogHist()).p99) == (0, 0)


@given(st.lists(VALUES, min_size=1, max_size=50))
@settings(deadline=None, max_examples=100)
def test_moments_against_the_statistics_module(values: list[int]) -> None:
    moments = filled(MOMENTS, [[value] for value in values])
    assert (moments.count, moments.sum) == (len(values), sum(values))
    assert (moments.min, moments.max) == (min(values), max(values))
    assert moments.squares == sum(value * value for value in values)
    assert moments.mean == pytest.approx(statistics.fmean(values), rel=1e-15)
    assert moments.variance == pytest.approx(float(statistics.pvariance(values)), rel=1e-12)
    assert moments.std == pytest.approx(statistics.pstdev(values), rel=1e-12)


def test_moments_of_nothing_and_of_what_is_too_large() -> None:
    assert empty(MOMENTS).summary() == {"count": 0, "min": 0, "mean": 0, "max": 0, "std": 0}
    moments = filled(MOMENTS, [[2**63 - 1], [-(2**63)]])
    assert (moments.max, moments.min, moments.sum, moments.squares) == (2**47, -(2**47), 0, 2 * 2**94)


def test_the_hash_is_that_of_splitmix64() -> None:
    """The published sequence for the seed 1234567; compiled code has the same."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [mixed(1234567 + GOLDEN * n) % 2**64 for n in range(1, 5)] == expected


@given(st.lists(st.tuples(WORDS, WORDS), max_size=40))
@settings(deadline=None, max_examples=60)
def test_a_few_keys_are_counted_exactly(rows: list[tuple[int, int]]) -> None:
    kind = Distinct(precision=4, exact=40)
    distinct = filled(kind, [*rows, *rows])
    assert (distinct.count, distinct.exact, distinct.error) == (len(set(rows)), True, 0)


SIZES = (100, 1000, 10_000, 40_000, 100_000)


def _streams(count: int) -> list[np.ndarray[Any, Any]]:
    """Eight streams of so many different keys."""
    return [np.random.default_rng(stream).integers(-(2**63), 2**63 - 1, count) for stream in range(8)]


def _relative_errors(count: int) -> np.ndarray[Any, Any]:
    kind = Distinct(precision=14)
    return np.array([filled(kind, keys.reshape(-1, 1)).count / count - 1 for keys in _streams(count)])


@pytest.mark.parametrize("count", SIZES)
def test_many_keys_are_counted_within_two_percent(count: int) -> None:
    errors = _relative_errors(count)
    assert np.abs(errors).max() < 0.02
    # Eight streams: the spread of such a mean is a quarter of it.
    assert np.sqrt((errors**2).mean()) < 1.04 / 128 * 1.5


@pytest.mark.long
@pytest.mark.needs("datasketches")
@pytest.mark.parametrize("count", SIZES)
def test_many_keys_are_counted_as_well_as_by_apache_datasketches(count: int) -> None:
    import datasketches

    theirs = []
    for keys in _streams(count):
        peer = datasketches.hll_sketch(14, datasketches.tgt_hll_type.HLL_8)
        for key in keys.tolist():
            peer.update(key)
        theirs.append(peer.get_estimate() / count - 1)
    mean, peers = (np.sqrt((errors**2).mean()) for errors in (_relative_errors(count), np.array(theirs)))
    assert mean < peers + 1.04 / 128


def _zipf(count: int) -> list[int]:
    return [int(key) for key in np.random.default_rng(1).zipf(1.2, count) % 5000]


def test_counts_are_never_too_small_and_seldom_too_large() -> None:
    kind, keys = CountMin(width=256, depth=4), _zipf(20_000)
    exact = Counter(keys)
    counts = filled(kind, [(3, key) for key in keys])
    estimates = {key: counts.estimate(key) for key in range(5000)}
    assert counts.total == 3 * len(keys)
    assert all(estimates[key] >= 3 * exact[key] for key in estimates)
    beyond = sum(estimates[key] - 3 * exact[key] > counts.error for key in estimates)
    assert beyond <= math.exp(-kind.depth) * len(estimates)
    assert call(counts, "estimate", [[key] for key in estimates]) == list(estimates.values())


def test_a_bloom_filter_forgets_nothing_and_errs_as_said() -> None:
    kind, rng = Bloom(capacity=5000, error=0.01), random.Random(2)
    keys = [(rng.getrandbits(63), rng.getrandbits(63)) for _ in range(15_000)]
    seen = empty(kind)
    new = call(seen, "add", keys[:5000])
    assert sum(new) >= 5000 * 0.99
    assert call(seen, "add", keys[:5000]) == [0] * 5000
    assert all(seen.has(*key) for key in keys[:5000])
    others = call(seen, "has", keys[5000:])
    assert sum(others) / len(others) < 0.01 and seen.error < 0.01
    assert others == [seen.has(*key) for key in keys[5000:]]
    assert seen.count == pytest.approx(5000, rel=0.02)


def true_counts(rows: Rows) -> Counter[tuple[int, ...]]:
    counts: Counter[tuple[int, ...]] = Counter()
    for amount, *key in rows:
        counts[tuple(key)] += amount
    return counts


def check_top(top: Any, rows: Rows) -> None:
    """What is said of every key holds."""
    exact, total = true_counts(rows), sum(row[0] for row in rows)
    entries = {tuple(entry.key.values()): entry for entry in top.top()}
    assert top.total == total and top.bound * top.kind.k <= total
    for key, entry in entries.items():
        assert entry.count - entry.error <= exact[key] <= entry.count
        assert 0 <= entry.error <= top.bound
    for key in exact.keys() - entries.keys():
        assert exact[key] <= top.bound


@given(st.lists(counted, min_size=1, max_size=60), st.data())
@settings(deadline=None, max_examples=200)
def test_the_keys_that_came_to_most(rows: Rows, data: Any) -> None:
    check_top(filled(TOP, rows), rows)
    parts = [filled(TOP, part) for part in split(rows, data)]
    check_top(grouped(parts, data), rows)
    assert merged(parts).tobytes() == merged(data.draw(st.permutations(parts))).tobytes()


def test_a_key_above_its_share_is_never_missing() -> None:
    kind, keys = TopK(key=("key",), k=16), _zipf(20_000)
    rows = [(1, key) for key in keys]
    for top in (filled(kind, rows), merged([filled(kind, rows[part::8]) for part in range(8)])):
        check_top(top, rows)
        found = {entry.key["key"] for entry in top.top()}
        assert {key for key, count in Counter(keys).items() if count > len(keys) / 16} <= found


@given(st.lists(KEYS, min_size=1, max_size=60))
@settings(deadline=None, max_examples=60)
def test_a_sample_is_of_the_least_hashes(rows: Rows) -> None:
    sample = filled(SAMPLE, rows)
    least = sorted((logical(mixed(hashed(row) ^ SAMPLE.seed), 1), row) for row in rows)[: SAMPLE.k]
    assert sample.seen == len(rows)
    assert [tuple(one.values()) for one in sample.sample] == [row for _, row in least]


def test_a_sample_is_uniform() -> None:
    """Each of a thousand places is taken as often as another one, but for chance (chi-squared, four deviations)."""
    taken = np.zeros(1000)
    for stream in range(200):
        sample = filled(Reservoir(fields=("stream", "place"), k=50), [(stream, place) for place in range(1000)])
        for one in sample.sample:
            taken[one["place"]] += 1
    expected = 200 * 50 / 1000
    assert ((taken - expected) ** 2 / expected).sum() < 999 + 4 * math.sqrt(2 * 999)


@given(st.lists(timed, min_size=1, max_size=40), st.data())
@settings(deadline=None, max_examples=100)
def test_recent_means_and_rates(rows: Rows, data: Any) -> None:
    last = max(ts for ts, _ in rows)
    weights = [math.exp(-(last - ts) / 1e11) for ts, _ in rows]
    total = math.fsum(weight * value for weight, (_, value) in zip(weights, rows, strict=True))
    scale = math.fsum(weight * abs(value) for weight, (_, value) in zip(weights, rows, strict=True))
    for recent in (filled(RECENT, rows), grouped([filled(RECENT, part) for part in split(rows, data)], data)):
        assert recent.last == last
        assert recent.events == pytest.approx(math.fsum(weights) / 100, rel=1e-9)
        assert abs(recent.rate * 100 - total) <= 1e-9 * scale
        assert abs(recent.mean * math.fsum(weights) - total) <= 1e-9 * scale
        assert recent.rate_at(last + 10**11) == pytest.approx(recent.rate / math.e)


def test_a_steady_rate() -> None:
    recent = filled(Ewma(seconds=2), [((1 << 60) + n * 10**7, 500) for n in range(5000)])
    assert recent.mean == pytest.approx(500)
    assert recent.events == pytest.approx(100, rel=0.01)
    assert recent.rate == pytest.approx(50_000, rel=0.01)
