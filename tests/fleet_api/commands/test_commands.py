import threading
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from storage.registry import outbox
from storage.registry.models import Command
from tests.fleet_api.district import now_ms
from wire_protocol import messages


def ledger(registry) -> list[Command]:
    with registry.read() as session:
        return list(session.scalars(select(Command).order_by(Command.created_ms)))


@dataclass(frozen=True)
class Order:
    device: str
    path: str
    body: dict
    topic: str
    kind: str


@pytest.mark.parametrize(
    "order",
    [
        Order("t-east-1", "messages", {"text": "去东桥"}, "command", "message"),
        Order("t-east-1", "locate", {}, "command", "locate"),
        Order("t-east-1", "messages", {"text": "去东桥", "answers": True}, "command", "message"),
        Order("t-east-1", "duty", {"on": False}, "command", "duty"),
        Order("t-east-1", "ring", {"for_s": 5}, "command", "ring"),
        Order("t-east-1", "watch", {"lease_s": 300}, "watch", "watch"),
        Order("s-east-1", "mute", {"sensor": "smoke", "for_s": 0}, "mute", "mute"),
    ],
    ids=lambda order: f"{order.kind}{len(order.body)}",
)
def test_a_command_is_queued_audited_and_fits_the_wire(as_user, registry, audited, order):
    answer = as_user("operator").post(f"/devices/{order.device}/{order.path}", order.body)
    assert answer.status_code == 201
    command = answer.json()
    assert (command["topic"], command["kind"]) == (order.topic, order.kind)
    assert command["body"] == order.body
    assert (command["status"], command["created_by"]) == ("queued", "operator")
    assert as_user("viewer").get(f"/commands/{command['id']}").json() == command
    [row] = ledger(registry)
    assert row.id == command["id"]
    [entry] = audited(f"{order.kind}.send")
    assert (entry.user_name, entry.device) == ("operator", order.device)
    assert entry.details == {"command": command["id"]}
    if order.topic == "command":
        assert messages.make_command(row.id, row.kind, row.body, row.ttl_s, row.created_ms)
    elif order.topic == "mute":
        assert messages.make_mute(row.id, row.body["sensor"], row.body["for_s"])
    else:
        assert messages.make_watch(row.body["lease_s"])


def test_the_ledger_shows_how_far_a_command_came(as_user, registry):
    command = as_user("operator").post("/devices/t-east-1/messages", {"text": "x"}).json()
    with registry.begin() as session:
        outbox.mark_sent(session, command["id"], now_ms())
    shown = as_user("operator").get(f"/commands/{command['id']}").json()
    assert shown["status"] == "sent"
    assert shown["sent_ms"] is not None


def test_the_same_key_sends_once(as_user, registry, audited):
    operator = as_user("operator")
    body = {"text": "come", "idempotency_key": "key-1"}
    first = operator.post("/devices/t-east-1/messages", body)
    second = operator.post("/devices/t-east-1/messages", body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert len(ledger(registry)) == 1
    assert len(audited("message.send")) == 1


def test_the_same_key_at_the_same_time_sends_once(as_user, registry, audited):
    body = {"text": "come", "idempotency_key": "key-1"}
    ids: list[str] = []
    statuses: list[int] = []
    barrier = threading.Barrier(10)

    def send() -> None:
        browser = as_user("operator")
        barrier.wait()
        answer = browser.post("/devices/t-east-1/messages", body)
        ids.append(answer.json()["id"])
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 1
    assert sorted(statuses) == [200] * 9 + [201]
    assert len(audited("message.send")) == 1
    assert len(ledger(registry)) == 1


@pytest.mark.parametrize(
    ("device", "path", "body"),
    [
        ("t-east-1", "messages", {"text": "other"}),
        ("t-east-2", "messages", {"text": "come"}),
        ("t-east-1", "locate", {}),
    ],
)
def test_a_key_used_for_something_else_is_refused(as_user, registry, device, path, body):
    operator = as_user("operator")
    key = {"idempotency_key": "key-1"}
    first = operator.post("/devices/t-east-1/messages", {"text": "come", **key}).json()
    answer = operator.post(f"/devices/{device}/{path}", {**body, **key})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "key_reused"
    assert answer.json()["error"]["details"] == {"command": first["id"]}
    assert len(ledger(registry)) == 1


def test_keys_are_each_callers_own(as_user, registry):
    body = {"text": "come", "idempotency_key": "key-1"}
    first = as_user("operator").post("/devices/t-east-1/messages", body)
    second = as_user("east").post("/devices/t-east-1/messages", body)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
    assert "idempotency_key" not in first.json()
    assert len(ledger(registry)) == 2


TEXT_80 = "火" * 80  # 240 bytes.


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x"},
        {"text": TEXT_80},
        {"text": "x" * 240},
        {"text": "x", "ttl_s": 1},
        {"text": "x", "ttl_s": 604_800},
        {"text": "x", "idempotency_key": "k" * 40},
        {"text": "two\nlines"},
    ],
    ids=str,
)
def test_at_the_limits(as_user, body):
    assert as_user("operator").post("/devices/t-east-1/messages", body).status_code == 201


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "text", "required"),
        ({"text": ""}, "text", "at least 1"),
        ({"text": "   "}, "text", "blank"),
        ({"text": TEXT_80 + "!"}, "text", "241 bytes, at most 240"),
        ({"text": "\0"}, "text", "U+0000"),
        ({"text": "\x1b[2J"}, "text", "U+001B"),
        ({"text": 5}, "text", "string"),
        ({"text": "x", "ttl_s": 0}, "ttl_s", "greater than or equal to 1"),
        ({"text": "x", "ttl_s": 604_801}, "ttl_s", "604800"),
        ({"text": "x", "ttl_s": "60"}, "ttl_s", "integer"),
        ({"text": "x", "ttl_s": True}, "ttl_s", "integer"),
        ({"text": "x", "idempotency_key": ""}, "idempotency_key", "at least 1"),
        ({"text": "x", "idempotency_key": "k" * 41}, "idempotency_key", "40"),
        ({"text": "x", "idempotency_key": "a b"}, "idempotency_key", "pattern"),
        ({"text": "x", "txt": "y"}, "txt", "Extra"),
    ],
    ids=str,
)
def test_beyond_the_limits_names_field_and_limit(as_user, registry, audited, body, field, words):
    answer = as_user("operator").post("/devices/t-east-1/messages", body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid"
    assert error["details"] == {"field": field}
    assert error["message"].startswith(f"{field}: ")
    assert words in error["message"]
    assert ledger(registry) == []
    assert audited("message.send") == []


def test_half_a_character_is_refused(as_user):
    answer = as_user("operator").request(
        "POST",
        "/devices/t-east-1/messages",
        content=b'{"text":"\\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b"{" * 5000])
def test_no_json_object_is_refused(as_user, content):
    answer = as_user("operator").request(
        "POST",
        "/devices/t-east-1/messages",
        content=content,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["code"] == "invalid"


def test_a_body_without_end_is_refused_before_it_is_read(as_user):
    answer = as_user("operator").post("/devices/t-east-1/messages", {"text": "x" * 70_000})
    assert answer.status_code == 413

    def pieces():
        for _ in range(10):
            yield b" " * 1000

    answer = as_user("operator").request("POST", "/devices/t-east-1/messages", content=pieces())
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("watch", {"lease_s": 0}, "lease_s"),
        ("watch", {"lease_s": 301}, "lease_s"),
        ("duty", {}, "on"),
        ("duty", {"on": 1}, "on"),
        ("mute", {"sensor": "smoke", "for_s": 86_401}, "for_s"),
        ("mute", {"sensor": "smoke", "for_s": -1}, "for_s"),
        ("mute", {"sensor": "fire", "for_s": 1}, "sensor"),
        ("mute", {"for_s": 1}, "sensor"),
    ],
)
def test_other_commands_beyond_their_limits(as_user, registry, path, body, field):
    answer = as_user("operator").post(f"/devices/t-east-1/{path}", body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"field": field}
    assert ledger(registry) == []


@pytest.mark.parametrize(
    ("device", "path", "body"),
    [
        ("s-east-1", "messages", {"text": "x"}),
        ("s-east-1", "locate", {}),
        ("s-east-1", "duty", {"on": True}),
        ("s-east-1", "watch", {}),
        ("t-east-1", "mute", {"sensor": "smoke", "for_s": 1}),
    ],
)
def test_a_command_for_the_other_kind_of_device_is_refused(as_user, registry, device, path, body):
    answer = as_user("operator").post(f"/devices/{device}/{path}", body)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "wrong_device_kind"
    assert ledger(registry) == []


def test_a_retired_device_takes_no_commands(district, as_user, registry):
    district.change_device("t-east-1", retired_ms=1)
    answer = as_user("operator").post("/devices/t-east-1/messages", {"text": "x"})
    assert answer.json()["error"]["code"] == "device_retired"
    assert ledger(registry) == []


def test_a_viewer_sends_nothing(as_user, registry):
    for path, body in (("messages", {"text": "x"}), ("locate", {}), ("watch", {})):
        assert as_user("viewer").post(f"/devices/t-east-1/{path}", body).status_code == 403
    assert ledger(registry) == []


def test_lists_are_filtered_and_paged(as_user):
    operator = as_user("operator")
    for number in range(5):
        operator.post("/devices/t-east-1/messages", {"text": f"{number}"})
    operator.post("/devices/t-east-2/locate")
    only = operator.get("/commands?device=t-east-1&kind=message&status=queued&limit=3").json()
    rest = operator.get(f"/commands?device=t-east-1&limit=3&after={only['next']}").json()
    texts = [item["body"]["text"] for item in only["items"] + rest["items"]]
    assert sorted(texts) == ["0", "1", "2", "3", "4"]
    assert rest["next"] is None
    assert operator.get("/commands?status=done").json()["items"] == []
    for query in ("after=x", "after=1.", "status=lost"):
        assert operator.get(f"/commands?{query}").status_code == 422


@pytest.mark.parametrize("device", ["t-east-1", "s-east-1"])
@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("settings", "configure", {"settings": {"batch_s": 30, "silent": True}}),
        ("reboot", "reboot", {}),
        ("self-test", "self_test", {}),
    ],
)
def test_what_changes_a_device_is_for_administrators(as_user, registry, device, path, kind, body):
    refused = as_user("operator").post(f"/devices/{device}/{path}", body)
    assert refused.status_code == 403
    answer = as_user("admin").post(f"/devices/{device}/{path}", body)
    assert answer.status_code == 201
    [row] = ledger(registry)
    assert (row.kind, row.body) == (kind, body)
    assert messages.make_command(row.id, row.kind, row.body, row.ttl_s, row.created_ms)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "1..12 names"),
        ({"batch_s": 601}, "batch_s is 601, not 1..600"),
        ({"batch_s": True}, "batch_s is True, not 1..600"),
        ({"silent": 1}, "silent is neither true nor false"),
        ({"broker_host": ""}, "broker_host is not text of 1..64 bytes"),
        ({"networks": [["a", "short"]]}, "network password is not text of 8..63 bytes"),
        ({"networks": [["a", ""]] * 5}, "networks: a list of 1..4 is wanted"),
        ({"wings": 2}, "wings: no such setting"),
    ],
    ids=str,
)
def test_a_setting_out_of_its_limits_is_refused_by_name(as_user, registry, settings, reason):
    answer = as_user("admin").post("/devices/t-east-1/settings", {"settings": settings})
    assert answer.status_code == 422
    assert reason in answer.text
    assert ledger(registry) == []


def test_no_screen_shows_the_password_of_a_network(as_user, registry):
    body = {"settings": {"networks": [["village", "correct horse"], ["open", ""]]}}
    sent = as_user("admin").post("/devices/t-east-1/settings", body).json()
    shown = as_user("viewer").get(f"/commands/{sent['id']}").json()
    for command in (sent, shown):
        assert command["body"] == {"settings": {"networks": [["village", "***"], ["open", ""]]}}
    assert ledger(registry)[0].body == body
