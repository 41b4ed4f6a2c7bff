"""An event and the case that it opens: one transaction, one open case, on both databases."""

import multiprocessing
import threading

import pytest
from sqlalchemy import func, select, update

from storage.registry.ingest import LATE_AFTER_MS, store_event
from storage.registry.models import Case, Event
from storage.registry.session import open_registry
from tests.storage.batches import EPOCH, NOON_MS, alarm_record, cancel_record, sos_record

DEVICE = "t-0001"


def store(registry, record, *, device=DEVICE, received_ms=None):
    received_ms = record["at"] + 300 if received_ms is None else received_ms
    with registry.begin() as session:
        return store_event(session, device, record, received_ms)


def close(registry, case_id, at_ms=NOON_MS + 60_000):
    values = {"status": "closed", "closed_ms": at_ms, "closed_by": "wang", "close_reason": "test"}
    with registry.begin() as session:
        session.execute(update(Case).where(Case.id == case_id).values(values))


def rows(registry, model):
    with registry.read() as session:
        return list(session.scalars(select(model).order_by(model.id)))


def test_a_press_opens_a_case_in_the_same_transaction(registry):
    def store_and_fail():
        with registry.begin() as session:
            assert store_event(session, DEVICE, sos_record(), NOON_MS).case_opened
            session.info["impossible"] = 1 // 0

    with pytest.raises(ZeroDivisionError):
        store_and_fail()
    assert rows(registry, Event) == []
    assert rows(registry, Case) == []
    stored = store(registry, sos_record(seq=4))
    assert stored.case_opened
    assert not stored.duplicate
    assert stored.event["case_id"] == stored.case["id"]
    assert stored.event == rows(registry, Event)[0].as_dict()
    assert stored.case == rows(registry, Case)[0].as_dict()
    assert stored.case | {"id": 0, "last_event_id": 0} == {
        "id": 0, "device": DEVICE, "kind": "sos", "epoch": EPOCH, "incident": 4,
        "status": "reported", "opened_at_ms": NOON_MS, "opened_received_ms": NOON_MS + 300,
        "late": False, "presses": 1, "acknowledged_presses": 0, "last_event_id": 0,
        "cancelled_ms": None, "cleared_ms": None,
        "taken_by": None, "taken_ms": None, "closed_by": None, "closed_ms": None,
        "close_reason": None,
    }  # fmt: skip


def test_a_resent_press_changes_nothing_and_returns_the_first(registry):
    first = store(registry, sos_record())
    for _ in range(3):
        again = store(registry, sos_record(), received_ms=NOON_MS + 90_000)
        assert again.duplicate
        assert not again.case_opened
        assert again.event == first.event
        assert again.case == first.case


def test_a_further_press_adds_to_the_open_case(registry):
    first = store(registry, sos_record(seq=4))
    second = store(registry, sos_record(seq=5, incident=4, press=2, at=NOON_MS + 9000))
    assert not second.case_opened
    assert second.case == first.case | {"presses": 2, "last_event_id": second.event["id"]}


def test_a_press_after_the_close_is_a_new_case(registry):
    first = store(registry, sos_record(seq=4))
    close(registry, first.case["id"])
    second = store(registry, sos_record(seq=5, incident=4, press=2, at=NOON_MS + 9000))
    assert second.case_opened
    assert second.case["id"] > first.case["id"]
    resent = store(registry, sos_record(seq=4))
    assert resent.duplicate
    assert resent.case["status"] == "closed"
    assert len(rows(registry, Case)) == 2


def test_a_case_that_somebody_took_is_joined_and_stays_taken(registry):
    first = store(registry, sos_record(seq=4))
    with registry.begin() as session:
        taken = {"status": "taken", "taken_ms": NOON_MS, "acknowledged_presses": 1}
        session.execute(update(Case).values(taken_by="wang", **taken))
    second = store(registry, sos_record(seq=5, incident=5))
    assert second.case["id"] == first.case["id"]
    assert (second.case["status"], second.case["presses"]) == ("taken", 2)
    assert second.case["acknowledged_presses"] == 1


def test_presses_of_two_devices_are_two_cases(registry):
    store(registry, sos_record())
    assert store(registry, sos_record(), device="t-0002").case_opened


def test_a_cancel_is_noted_and_closes_nothing(registry):
    first = store(registry, sos_record(seq=4))
    cancelled = store(registry, cancel_record(5, 4, at=NOON_MS + 5000))
    assert cancelled.case == first.case | {
        "cancelled_ms": NOON_MS + 5000, "last_event_id": cancelled.event["id"],
    }  # fmt: skip
    assert cancelled.event["case_id"] == first.case["id"]


def test_a_cancel_that_overtakes_its_sos_is_not_forgotten(registry):
    assert store(registry, cancel_record(5, 4, at=NOON_MS + 5000)).case is None
    stored = store(registry, sos_record(seq=4))
    assert stored.case_opened
    assert stored.case["cancelled_ms"] == NOON_MS + 5000
    assert store(registry, sos_record(seq=9), device="t-0002").case["cancelled_ms"] is None


def test_a_first_press_that_was_overtaken_says_when_it_happened(registry):
    store(registry, sos_record(seq=5, incident=4, press=2, at=NOON_MS + 9000))
    case = store(registry, sos_record(seq=4), received_ms=NOON_MS + 10_000).case
    assert (case["opened_at_ms"], case["opened_received_ms"]) == (NOON_MS, NOON_MS + 10_000)
    assert case["presses"] == 2


def test_an_alarm_opens_clears_and_returns_within_one_case(registry):
    raised = store(registry, alarm_record(1), device="s-0001")
    assert raised.case_opened
    assert (raised.case["kind"], raised.case["presses"]) == ("alarm:smoke", 1)
    cleared = store(registry, alarm_record(2, raised=False, at=NOON_MS + 1), device="s-0001")
    assert (cleared.case["status"], cleared.case["cleared_ms"]) == ("reported", NOON_MS + 1)
    again = store(registry, alarm_record(3), device="s-0001")
    assert (again.case["id"], again.case["cleared_ms"]) == (raised.case["id"], None)
    assert again.case["presses"] == 2
    other = store(registry, alarm_record(4, sensor="water_level"), device="s-0001")
    assert other.case_opened
    assert other.case["kind"] == "alarm:water_level"


def test_a_cleared_alarm_without_a_case_opens_none(registry):
    assert store(registry, alarm_record(1, raised=False), device="s-0001").case is None


@pytest.mark.parametrize(
    ("quality", "waited_ms", "late"),
    [
        ("gnss", LATE_AFTER_MS, False),
        ("gnss", LATE_AFTER_MS + 1, True),
        ("rtc", 86_400_000, True),
        ("none", 86_400_000, False),
        ("server", -86_400_000, False),
    ],
)
def test_late_is_said_with_both_times(registry, quality, waited_ms, late):
    stored = store(registry, sos_record(quality=quality), received_ms=NOON_MS + waited_ms)
    assert (stored.event["late"], stored.case["late"]) == (late, late)
    assert stored.event["at_ms"] == stored.case["opened_at_ms"] == NOON_MS
    assert stored.event["received_ms"] == stored.case["opened_received_ms"] == NOON_MS + waited_ms


def test_the_same_seq_in_another_epoch_is_another_event(registry):
    store(registry, sos_record(seq=4))
    assert not store(registry, sos_record(seq=4, epoch=EPOCH + 1)).duplicate
    assert not store(registry, sos_record(seq=4), device="t-0002").duplicate


def test_an_event_keeps_all_that_the_device_said(registry):
    record = sos_record(seq=2**32 - 1, epoch=2**32 - 1, incident=1)
    event = store(registry, record).event
    assert (event["epoch"], event["seq"]) == (2**32 - 1, 2**32 - 1)
    assert event["body"] == {
        key: record[key] for key in ("uptime_s", "boot", "trigger", "incident", "press", "fix")
    }


def test_reports_and_duty_concern_no_case(registry):
    common = {"v": 1, "epoch": EPOCH, "at": NOON_MS, "clock": "gnss", "uptime_s": 1, "boot": 1}
    report = common | {"seq": 1, "kind": "report", "text": "桥断了"}
    duty = common | {"seq": 2, "kind": "duty", "on": True, "by": "button"}
    assert store(registry, report).event["body"]["text"] == "桥断了"
    assert store(registry, duty).case is None


def test_two_gateways_that_get_the_same_press_open_one_case(registry):
    """Threads with connections of their own, released at one moment, fifty times."""
    for seq in range(1, 51):
        device = f"t-{seq:04d}"
        stored = together(
            2, lambda _, d=device, s=seq: store(registry, sos_record(seq=s), device=d)
        )
        assert sorted(one.duplicate for one in stored) == [False, True]
        assert sorted(one.case_opened for one in stored) == [False, True]
        assert stored[0].case == stored[1].case
    assert len(rows(registry, Case)) == 50


def test_presses_at_the_same_moment_open_one_case_and_all_count(registry):
    stored = together(
        8, lambda number: store(registry, sos_record(seq=1 + number, incident=1, press=1 + number))
    )
    assert [one.case_opened for one in stored].count(True) == 1
    assert not any(one.duplicate for one in stored)
    (case,) = rows(registry, Case)
    assert case.presses == 8


def test_an_sos_and_its_cancel_at_the_same_moment_both_count(registry):
    for number in range(20):
        device = f"t-{number:04d}"
        records = [sos_record(seq=4), cancel_record(5, 4, at=NOON_MS + 5)]
        together(2, lambda n, d=device, r=records: store(registry, r[n], device=d))
    assert {case.cancelled_ms for case in rows(registry, Case)} == {NOON_MS + 5}


def test_two_processes_open_one_case(registry_url):
    """The claim of the database itself, with nothing shared but the URL."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    processes = [
        context.Process(target=press_many, args=(registry_url, barrier, number))
        for number in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    registry = open_registry(registry_url)
    with registry.read() as session:
        counted = session.execute(
            select(func.count(), func.sum(Case.presses)).select_from(Case)
        ).one()
        assert tuple(counted) == (20, 40)
        assert session.scalar(select(func.count()).select_from(Event)) == 40
    registry.close()


def press_many(url, barrier, number):
    registry = open_registry(url)
    barrier.wait(30)
    for device in range(20):
        store(registry, sos_record(seq=1 + number, incident=1), device=f"t-{device:04d}")
    registry.close()


def together(count, work):
    """Run `work(number)` in threads that start at one moment; return what each returned."""
    barrier = threading.Barrier(count)
    results = [None] * count

    def run(number):
        barrier.wait(10)
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results
