"""Cursors under every order of arrival, on both databases and from two gateways at once."""

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from storage.registry.cursors import (
    ABOVE_MAX,
    EPOCHS_MAX,
    SINGLES_MAX,
    Advance,
    advance,
    advance_cursors,
)
from storage.registry.models import Cursor

KEY = ("t-0001", 7, "track")


def batches_of(sizes):
    """Cut a stream from seq 1 on into batches of these sizes; low is 1: nothing was let go."""
    batches, first = [], 1
    for size in sizes:
        batches.append((first, first + size - 1, 1))
        first += size
    return batches


def stored(upto, above):
    return set(range(1, upto + 1)).union(*(range(first, last + 1) for first, last in above))


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=30),
    seed=st.randoms(use_true_random=False),
    cut=st.integers(1, 7),
)
def test_any_order_ends_at_the_same_place(sizes, seed, cut):
    batches = batches_of(sizes)
    arrivals = batches + seed.choices(batches, k=len(batches))
    seed.shuffle(arrivals)
    upto, above, seen = 0, [], set()
    for at in range(0, len(arrivals), cut):
        part = arrivals[at : at + cut]
        before = upto
        upto, above = advance(upto, above, part)
        seen.update(seq for first, last, _ in part for seq in range(first, last + 1))
        assert stored(upto, above) == seen
        assert upto >= before
        assert all(first > upto + 1 for first, _ in above)
    assert (upto, above) == (sum(sizes), [])


@given(
    lost=st.sets(st.integers(0, 29), max_size=29),
    seed=st.randoms(use_true_random=False),
)
def test_nothing_is_counted_that_was_not_stored(lost, seed):
    batches = [batch for n, batch in enumerate(batches_of([12] * 30)) if n not in lost]
    seed.shuffle(batches)
    upto, above = 0, []
    for batch in batches:
        upto, above = advance(upto, above, [batch])
    kept = set().union(*(range(first, last + 1) for first, last, _ in batches))
    assert stored(upto, above) == kept


def test_what_the_device_no_longer_holds_is_counted():
    assert advance(0, [], [(101, 112, 101)]) == (112, [])
    assert advance(50, [[61, 72]], [(101, 112, 61)]) == (72, [[101, 112]])
    assert advance(50, [[61, 72]], [(101, 112, 80)]) == (79, [[101, 112]])
    assert advance(50, [[61, 72], [101, 112]], [(130, 141, 101)]) == (112, [[130, 141]])


def test_an_old_low_moves_nothing_back():
    assert advance(500, [], [(13, 24, 1)]) == (500, [])


def test_ranges_above_a_gap_are_bounded_and_the_rest_is_not_counted():
    batches = [(first, first + 1, 1) for first in range(3, 3 + 4 * (ABOVE_MAX + 5), 4)]
    upto, above = advance(0, [], batches)
    assert upto == 0
    assert above == [[first, last] for first, last, _ in batches[:ABOVE_MAX]]
    # The device resends what was not receipted once the gap is filled: it then counts.
    upto, above = advance(upto, above, [(1, 2, 1), *[(f + 2, f + 3, 1) for f, _, _ in batches]])
    assert upto == batches[ABOVE_MAX - 1][1] + 2
    assert advance(upto, above, batches)[0] == batches[-1][1] + 2


def test_the_largest_seq_is_counted():
    last = 2**32 - 1
    assert advance(last - 1, [], [(last, last, last)]) == (last, [])


def test_a_receipt_names_at_most_so_many_singles(registry):
    advances = [Advance(*KEY, first, first, 1) for first in range(10, 10 + 2 * 50, 2)]
    with registry.begin() as session:
        assert advance_cursors(session, advances) == {
            KEY: (0, [10 + 2 * n for n in range(SINGLES_MAX)])
        }


def test_shuffled_batches_of_a_fleet_end_complete(registry):
    devices = [f"t-{number:04d}" for number in range(40)]
    advances = [
        Advance(device, 2**32 - 1, stream, 1 + 12 * batch, 12 + 12 * batch, 1)
        for device in devices
        for stream in ("track", "reading")
        for batch in range(10)
    ]
    arrivals = advances + random.Random(1).choices(advances, k=200)
    random.Random(2).shuffle(arrivals)
    for at in range(0, len(arrivals), 97):
        with registry.begin() as session:
            advance_cursors(session, arrivals[at : at + 97])
    with registry.read() as session:
        rows = list(session.scalars(select(Cursor)))
    assert len(rows) == 80
    assert {(row.epoch, row.upto, tuple(row.above)) for row in rows} == {(2**32 - 1, 120, ())}


def test_epochs_and_streams_do_not_mix(registry):
    with registry.begin() as session:
        found = advance_cursors(
            session,
            [
                Advance("t-0001", 7, "track", 1, 12, 1),
                Advance("t-0001", 8, "track", 13, 24, 1),
                Advance("t-0001", 7, "event", 5, 5, 5),
            ],
        )
    assert found == {
        ("t-0001", 7, "track"): (12, []),
        ("t-0001", 8, "track"): (0, [13]),
        ("t-0001", 7, "event"): (5, []),
    }


def test_nothing_to_advance_is_no_question(registry):
    with registry.begin() as session:
        assert advance_cursors(session, []) == {}


def test_epochs_that_a_device_makes_up_do_not_fill_the_registry(registry):
    with registry.begin() as session:
        advance_cursors(session, [Advance("t-0002", 1, "track", 1, 5, 1)])
    for epoch in range(1000, 1000 + 3 * EPOCHS_MAX):
        with registry.begin() as session:
            found = advance_cursors(session, [Advance("t-0001", epoch, "track", 1, 5, 1)])
        assert found == {("t-0001", epoch, "track"): (5, [])}
    with registry.read() as session:
        count = select(func.count()).select_from(Cursor)
        assert session.scalar(count.where(Cursor.device == "t-0001")) <= EPOCHS_MAX
        assert session.scalar(count.where(Cursor.device == "t-0002")) == 1


def test_a_forgotten_cursor_heals_by_what_the_device_still_holds(registry):
    with registry.begin() as session:
        found = advance_cursors(
            session, [Advance(*KEY, 121, 132, 109), Advance(*KEY, 109, 120, 109)]
        )
    assert found == {KEY: (132, [])}


def test_two_gateways_lose_no_batch_of_one_stream(registry):
    """Both move the same cursors at the same time, with half of the batches each."""
    batches = [
        Advance(f"t-{device:04d}", 7, "track", 1 + 5 * number, 5 + 5 * number, 1)
        for number in range(60)
        for device in range(5)
    ]
    failures = []

    def work(mine):
        try:
            for at in range(0, len(mine), 7):
                with registry.begin() as session:
                    advance_cursors(session, mine[at : at + 7])
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(batches[n::2],)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with registry.read() as session:
        assert {(row.upto, tuple(row.above)) for row in session.scalars(select(Cursor))} == {
            (300, ())
        }


def test_a_transaction_that_fails_moves_nothing(registry):
    def advance_and_fail():
        with registry.begin() as session:
            advance_cursors(session, [Advance(*KEY, 1, 12, 1)])
            session.info["impossible"] = 1 // 0

    with pytest.raises(ZeroDivisionError):
        advance_and_fail()
    with registry.begin() as session:
        assert advance_cursors(session, [Advance(*KEY, 13, 24, 1)]) == {KEY: (0, [13])}
