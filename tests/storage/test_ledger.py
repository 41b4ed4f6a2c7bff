"""The life of a command: every move of the table, and no other."""

from itertools import product

import pytest

from storage.registry import ledger, outbox
from storage.registry.ingest import store_result, store_state
from storage.registry.models import Command
from tests.storage.batches import NOON_MS, result_record

DEVICE = "t-0001"
STATUSES = (
    "queued", "sent", "delivered", "accepted", "refused", "done", "failed", "expired",
    "superseded",
)  # fmt: skip
HAPPENINGS = (
    "sent", "delivered", "accepted", "refused", "done", "failed", "expired", "superseded",
    "unsendable",
)  # fmt: skip


def enqueue(session, *, device=DEVICE, kind="message", topic="command", now_ms=NOON_MS, **values):
    values = {"body": {"text": "hello"}, "ttl_s": 600, "created_by": "wang"} | values
    return outbox.enqueue(
        session, device=device, kind=kind, topic=topic, now_ms=now_ms, **values
    )  # fmt: skip


def online(registry, *devices):
    with registry.begin() as session:
        for device in devices:
            state = {"v": 1, "online": True, "epoch": 7, "boot": 1, "connection": 1, "uptime_s": 5}
            store_state(session, device, state, NOON_MS)


def claim(registry, now_ms, devices=(DEVICE,), limit=100):
    with registry.begin() as session:
        return [row["id"] for row in outbox.claim_commands(session, devices, now_ms, limit)]


def waiting(registry, now_ms):
    with registry.read() as session:
        return outbox.devices_waiting(session, now_ms)


def answer(registry, command_id, status, *, device=DEVICE, now_ms=NOON_MS + 2000, **record):
    with registry.begin() as session:
        return store_result(session, device, result_record(command_id, status, **record), now_ms)


def shown(registry, command_id):
    with registry.read() as session:
        return session.get_one(Command, command_id).as_dict()


@pytest.mark.parametrize(("status", "happened"), list(product(STATUSES, HAPPENINGS)))
def test_a_move_that_is_not_in_the_table_changes_nothing(status, happened):
    row = Command(status=status, sent_ms=1, delivered_ms=2, finished_ms=3, reason="before")
    before = dict(vars(row))
    moved = ledger.move(row, happened, NOON_MS, "after")
    assert moved == ((status, happened) in ledger.MOVES)
    if moved:
        assert row.status == ledger.MOVES[(status, happened)]
        assert (row.finished_ms is not None) == (row.status in ledger.FINISHED)
    else:
        assert {k: v for k, v in vars(row).items() if k in before} == before


def test_the_table_lets_nobody_leave_what_a_device_finished():
    assert not [move for move in ledger.MOVES if move[0] in ("refused", "done", "failed")]
    assert set(ledger.MOVES.values()) <= set(STATUSES)


def test_a_command_runs_from_queued_to_done(registry):
    with registry.begin() as session:
        row = enqueue(session)
    assert (row["status"], row["attempts"], row["sent_ms"]) == ("queued", 0, None)
    assert claim(registry, NOON_MS + 10) == [row["id"]]
    with registry.begin() as session:
        assert outbox.mark_sent(session, row["id"], NOON_MS + 20)["status"] == "sent"
    accepted = answer(registry, row["id"], "accepted", now_ms=NOON_MS + 30)
    assert accepted.command["status"] == "accepted"
    assert accepted.command["finished_ms"] is None
    done = answer(registry, row["id"], "done", now_ms=NOON_MS + 40, reason="read").command
    assert (done["status"], done["reason"]) == ("done", "read")
    times = ("sent_ms", "delivered_ms", "finished_ms")
    assert [done[name] - NOON_MS for name in times] == [20, 30, 40]
    assert answer(registry, row["id"], "accepted").command is None


def test_a_resent_result_moves_nothing(registry):
    with registry.begin() as session:
        row = enqueue(session)
    assert not answer(registry, row["id"], "accepted", seq=5).duplicate
    again = answer(registry, row["id"], "accepted", seq=5)
    assert (again.duplicate, again.command) == (True, None)


def test_a_device_cannot_answer_for_another(registry):
    with registry.begin() as session:
        row = enqueue(session)
    assert answer(registry, row["id"], "done", device="t-0002").command is None
    assert shown(registry, row["id"])["status"] == "queued"
    assert answer(registry, "0" * 16, "done").command is None


def test_a_command_that_expired_here_was_done_all_the_same(registry):
    with registry.begin() as session:
        row = enqueue(session, ttl_s=1)
        assert [r["status"] for r in outbox.expire_commands(session, NOON_MS + 1000)] == [
            "expired"
        ]
    assert answer(registry, row["id"], "done").command["status"] == "done"


def test_only_devices_that_are_there_are_served(registry):
    with registry.begin() as session:
        there = enqueue(session)["id"]
        enqueue(session, device="t-away")
    online(registry, DEVICE)
    assert waiting(registry, NOON_MS) == {DEVICE}
    assert claim(registry, NOON_MS) == [there]
    assert waiting(registry, NOON_MS) == set()


def test_a_claim_is_free_again_when_its_gateway_died(registry):
    with registry.begin() as session:
        row = enqueue(session)
    online(registry, DEVICE)
    assert claim(registry, NOON_MS) == [row["id"]]
    assert claim(registry, NOON_MS + outbox.CLAIM_MS - 1) == []
    assert waiting(registry, NOON_MS + outbox.CLAIM_MS) == {DEVICE}
    assert claim(registry, NOON_MS + outbox.CLAIM_MS) == [row["id"]]
    assert shown(registry, row["id"])["attempts"] == 2


def test_what_the_broker_lost_is_sent_again_until_it_is_answered(registry):
    with registry.begin() as session:
        row = enqueue(session)
        enqueue(session, kind="watch", topic="watch", body={"lease_s": 60})
    now_ms = NOON_MS
    assert len(claim(registry, now_ms)) == 2
    with registry.begin() as session:
        for command in session.query(Command):
            outbox.mark_sent(session, command.id, now_ms)
    assert claim(registry, now_ms + outbox.ANSWER_MS - 1) == []
    assert claim(registry, now_ms + outbox.ANSWER_MS) == [row["id"]]
    with registry.begin() as session:
        assert outbox.mark_sent(session, row["id"], now_ms + outbox.ANSWER_MS) is None
    assert claim(registry, now_ms + 3 * outbox.ANSWER_MS - 1) == []
    assert claim(registry, now_ms + 3 * outbox.ANSWER_MS) == [row["id"]]
    assert shown(registry, row["id"])["sent_ms"] == now_ms
    answer(registry, row["id"], "accepted")
    assert claim(registry, now_ms + 500_000) == []


def test_nothing_is_sent_after_its_time(registry):
    with registry.begin() as session:
        row = enqueue(session, ttl_s=60)
    assert claim(registry, NOON_MS + 60_000) == []
    with registry.begin() as session:
        assert outbox.expire_commands(session, NOON_MS + 59_999) == []
        expired = outbox.expire_commands(session, NOON_MS + 60_000)
    assert [(r["id"], r["status"], r["finished_ms"]) for r in expired] == [
        (row["id"], "expired", NOON_MS + 60_000)
    ]


def test_a_watch_that_was_sent_has_not_failed_and_one_that_never_was_has(registry):
    online(registry, DEVICE, "t-0002")
    with registry.begin() as session:
        watch = {"kind": "watch", "topic": "watch", "body": {"lease_s": 60}, "ttl_s": 30}
        sent = enqueue(session, **watch)["id"]
        never = enqueue(session, device="t-0002", **watch)["id"]
        outbox.mark_sent(session, sent, NOON_MS + 5)
    with registry.begin() as session:
        expired = outbox.expire_commands(session, NOON_MS + 30_000)
    assert [row["id"] for row in expired] == [never]
    row = shown(registry, sent)
    assert (row["status"], row["finished_ms"]) == ("sent", NOON_MS + 5)
    with registry.begin() as session:  # The next lease leaves it as it ended.
        enqueue(session, **watch)
    assert shown(registry, sent) == row


def test_an_accepted_command_does_not_expire_here(registry):
    with registry.begin() as session:
        row = enqueue(session, ttl_s=1)
    answer(registry, row["id"], "accepted")
    with registry.begin() as session:
        assert outbox.expire_commands(session, NOON_MS + 10_000) == []


def test_a_newer_one_takes_the_place_of_what_is_under_way(registry):
    with registry.begin() as session:
        first = enqueue(session, kind="duty", body={"on": True})
        other = enqueue(session, kind="duty", body={"on": True}, device="t-0002")
        message = enqueue(session)
        second = enqueue(session, kind="duty", body={"on": False})
    statuses = [shown(registry, row["id"])["status"] for row in (first, other, message, second)]
    assert statuses == ["superseded", "queued", "queued", "queued"]


def test_an_idempotency_key_makes_one_row(registry):
    with registry.begin() as session:
        first = enqueue(session, idempotency_key="k1")
    with registry.begin() as session:
        again = enqueue(session, idempotency_key="k1", now_ms=NOON_MS + 5)
        other = enqueue(session, idempotency_key="k2")
    assert again == first
    assert other["id"] != first["id"]


def test_what_can_never_be_sent_has_failed_and_was_never_delivered(registry):
    with registry.begin() as session:
        row = enqueue(session)
        failed = outbox.mark_failed(session, row["id"], NOON_MS, "text: 241 bytes")
    assert (failed["status"], failed["reason"]) == ("failed", "text: 241 bytes")
    assert failed["delivered_ms"] is None


def test_a_limit_is_kept_oldest_first(registry):
    with registry.begin() as session:
        ids = [enqueue(session, now_ms=NOON_MS + n)["id"] for n in range(5)]
    assert claim(registry, NOON_MS + 10, limit=3) == ids[:3]
    assert claim(registry, NOON_MS + 10, limit=3) == ids[3:]
