"""When a batch is receipted, as a table of days."""

import random

from gateway.domain.inbound import Claim
from gateway.domain.receipts import BATCHES_PER_RECEIPT, WAIT_S_MAX, Due, ReceiptPolicy


def claim(seq: int, device: str = "t-1", epoch: int = 1, stream: str = "track") -> Claim:
    return Claim(device, epoch, stream, seq, seq + 11, 1)


def settled(*devices: str) -> ReceiptPolicy:
    """A policy that knows the devices: the first batch of each was receipted."""
    policy = ReceiptPolicy()
    for device in devices or ("t-1",):
        policy.committed(claim(1, device), 0.0)
        assert policy.due(0.0)
        policy.receipted((device, 1, "track"), 12, [])
    return policy


def test_first_batch_after_a_start_is_receipted_at_once():
    policy = ReceiptPolicy()
    assert not policy.committed(claim(1), 0.0)
    assert policy.due(0.0) == [Due("t-1", 1, [claim(1)])]
    assert policy.due(0.0) == []


def test_four_batches_make_one_receipt():
    policy = settled()
    claims = [claim(13 + 12 * number) for number in range(BATCHES_PER_RECEIPT)]
    for one in claims[:-1]:
        policy.committed(one, 1.0)
        assert policy.due(1.0) == []
    policy.committed(claims[-1], 1.0)
    assert policy.due(1.0) == [Due("t-1", 1, claims)]


def test_streams_of_a_device_count_together():
    policy = settled()
    policy.committed(claim(1, stream="reading"), 0.0)
    policy.due(0.0)
    policy.receipted(("t-1", 1, "reading"), 12, [])
    for number in range(2):
        policy.committed(claim(13 + 12 * number), 1.0)
        policy.committed(claim(13 + 12 * number, stream="reading"), 1.0)
    (due,) = policy.due(1.0)
    assert {one.stream for one in due.claims} == {"track", "reading"}


def test_nothing_waits_longer_than_its_time():
    policy = settled("t-1", "t-2")
    policy.committed(claim(13, "t-1"), 10.0)
    policy.committed(claim(13, "t-2"), 20.0)
    assert policy.due(10.0 + WAIT_S_MAX - 0.1) == []
    assert [due.device for due in policy.due(10.0 + WAIT_S_MAX)] == ["t-1"]
    assert [due.device for due in policy.due(20.0 + WAIT_S_MAX)] == ["t-2"]


def test_what_was_stored_before_is_receipted_at_once():
    for known in ("upto", "single", "pending"):
        policy = settled()
        if known == "single":
            policy.receipted(("t-1", 1, "track"), 12, [25])
        again = {"upto": claim(1), "single": claim(25), "pending": claim(13)}[known]
        if known == "pending":
            policy.committed(again, 1.0)
        assert policy.committed(again, 1.0), known
        assert [due.device for due in policy.due(1.0)] == ["t-1"], known


def test_same_seq_of_another_epoch_is_no_duplicate():
    policy = settled()
    assert not policy.committed(claim(1, epoch=2), 1.0)


def test_new_connection_is_receipted_at_once_and_only_once():
    policy = settled()
    policy.connected("t-1")
    policy.committed(claim(13), 1.0)
    assert policy.due(1.0)
    policy.committed(claim(25), 2.0)
    assert policy.due(2.0) == []


def test_nothing_waits_while_an_sos_is_open():
    policy = settled()
    policy.committed(claim(13), 1.0)
    policy.sos_is_open("t-1", is_open=True)
    assert policy.due(1.0) == [Due("t-1", 1, [claim(13)])]
    policy.committed(claim(25), 2.0)
    assert policy.due(2.0)
    policy.sos_is_open("t-1", is_open=False)
    policy.committed(claim(37), 3.0)
    assert policy.due(3.0) == []


def test_refused_batch_is_receipted_at_once():
    policy = settled()
    policy.committed(claim(13), 1.0, at_once=True)
    assert policy.due(1.0)


def test_new_journal_does_not_swallow_what_is_pending_of_the_old_one():
    policy = settled()
    policy.committed(claim(13), 1.0)
    policy.committed(claim(1, epoch=2), 1.0)
    assert {(due.epoch, *due.claims) for due in policy.all()} == {
        (1, claim(13)), (2, claim(1, epoch=2)),
    }  # fmt: skip


def test_end_takes_everything():
    policy = settled("t-1", "t-2")
    policy.committed(claim(13, "t-1"), 1.0)
    policy.committed(claim(13, "t-2"), 1.0)
    assert [due.device for due in policy.all()] == ["t-1", "t-2"]
    assert policy.all() == []


def test_every_committed_batch_comes_out_once_whatever_happens():
    dice = random.Random(7)
    policy = ReceiptPolicy()
    put, taken, now_s = [], [], 0.0
    for number in range(5_000):
        now_s += dice.random() * 20
        device = f"t-{dice.randrange(6)}"
        chance = dice.random()
        if chance < 0.7:
            one = Claim(device, dice.randrange(3), dice.choice(("track", "reading")),
                        number, number, 1)  # fmt: skip
            put.append(one)
            policy.committed(one, now_s, at_once=chance < 0.01)
        elif chance < 0.75:
            policy.connected(device)
        elif chance < 0.8:
            policy.sos_is_open(device, is_open=chance < 0.77)
        else:
            for due in policy.due(now_s):
                assert {(c.device, c.epoch) for c in due.claims} == {(due.device, due.epoch)}
                taken += due.claims
                last = due.claims[-1]
                policy.receipted((last.device, last.epoch, last.stream), last.last, [])
    for due in policy.all():
        taken += due.claims
    assert sorted(taken) == sorted(put)


def test_cursors_move_before_the_receipt_is_due():
    """Another gateway's receipt must not leave out what this one has stored."""
    policy = settled()
    policy.to_move(0.0)
    policy.committed(claim(13), 10.0)
    assert policy.due(10.0) == []
    assert policy.to_move(10.0) == [claim(13)]
    policy.committed(claim(25), 10.1)
    assert policy.to_move(10.2) == []
    assert policy.to_move(11.1) == [claim(25)]
    assert policy.to_move(20.0) == []
    # When the receipt is due it names all of them, moved or not.
    policy.committed(claim(37), 20.1)
    policy.committed(claim(49), 20.2)
    assert [due.claims for due in policy.due(20.2)] == [[claim(n) for n in (13, 25, 37, 49)]]


def test_batch_that_was_quicker_than_its_state_is_receipted_when_the_state_comes():
    policy = settled()
    policy.committed(claim(13), 1.0)
    policy.connected("t-1")
    assert policy.due(1.0)
