"""Bad days of single devices: each is whole again afterwards, and nobody else notices.

One installation for all, as in life. The last test compares what all rigs saw, through all of
these days, with the stores.
"""

import json
import random
import sqlite3
import ssl
import struct
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import paho.mqtt.client as mqtt
import pytest

from provisioning.authority import Authority
from provisioning.control import ControlError
from tests.gateway.fake_device import LAT_E6, FakeDevice, message
from tests.gateway.installation import write_identity
from tests.system import console
from tests.system.accounts import accounts, assert_nothing_lost_or_doubled, longest_way_s
from tests.system.installation import Installation, started, wait_for
from tests.system.rest import come_to_rest, everybody_is_heard, now_ms
from tests.system.witness import GUESTS, Screen, Wire
from wire_protocol import frames, records

TERMINALS, SENSORS = 8, 2
VICTIM, OFFLINE, CLOCK_1970, CLOCK_2099, RECEIVER_2099, NO_FIX, NOISY, FULL = (
    f"t-{number + 1:04}" for number in range(TERMINALS)
)
S_2099 = 4_070_908_800
YEARS_73_S = 73 * 31_557_600
WAY_S_MAX = 10.0  # Of a watched terminal's fix: less than a second on a quiet machine.
LATE_S = 65  # Late is more than a minute.
# Of the journal's 144 KiB for what is no SOS, an event takes 170 bytes and more.
PRESSES_TO_FILL = 1_100
FORGED_EPOCH = 0xDEADBEEF
(GUEST,) = GUESTS
GUEST_EPOCH = 77


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Everybody is heard, and one terminal has just raised an SOS where there is no network."""
    options = ["--terminals", str(TERMINALS), "--sensors", str(SENSORS), "--witness"]
    with started(tmp_path_factory.mktemp("home"), *options) as running:
        wait_for("all are online", lambda: running.online() == TERMINALS + SENSORS)
        running.watch(running.terminals())
        everybody_is_heard(running)
        with Wire(running) as running.wire, Screen(running) as running.screen:
            offline = running.control(OFFLINE)
            offline.link(up=False)
            running.offline_since_ms = now_ms()
            offline.push("sos", hold_s=1.5)
            offline.wait(lambda shown: "SOS OPEN" in shown["screen"], 10)
            yield running


@contextmanager
def others_go_on(world: Installation, *troubled: str):
    """The rest of the fleet never stops: whatever it makes is stored at once, all the while."""
    others = set(world.terminals()).difference(troubled, (OFFLINE,))
    world.watch(sorted(others))
    began_ms = now_ms()
    yield
    for device in others:
        way_s = longest_way_s(world.home, device, began_ms, WAY_S_MAX)
        assert way_s < WAY_S_MAX, f"a fix of {device} took {way_s:.0f} s to be stored"


def rewire(world: Installation, device: str, *, link_up: bool = True, **receiver: object) -> None:
    """Change what is wired to the chip, as from its next reset on."""
    path = world.home / "devices" / device / "rig.json"
    wired = json.loads(path.read_text())
    wired["link_up"] = link_up
    wired["receiver"] |= receiver
    path.write_text(json.dumps(wired))


def case_of(world: Installation, device: str) -> dict:
    """The one open SOS of a device, as soon as it is on the screen."""
    wait_for(f"the SOS of {device} is shown", lambda: world.screen.shown()[device] == 1, 60)
    (case,) = (row for row in world.cases() if row["device"] == device)
    return case


def restarted(world: Installation, device: str) -> None:
    """Reset a device and wait until it runs again."""
    control = world.control(device)
    before_ms = control.show()["uptime_ms"]
    control.reset()
    control.wait(lambda shown: shown["screen"] and shown["uptime_ms"] < before_ms, 60)


@pytest.mark.parametrize(
    ("device", "clock_s"), [(CLOCK_1970, 0), (CLOCK_2099, S_2099)], ids=["1970", "2099"]
)
def test_an_sos_of_a_device_without_time_and_place_is_one_case_dated_by_its_arrival(
    world, device, clock_s
):
    with others_go_on(world, device):
        control = world.control(device)
        # Switched on again with a wrong clock, a receiver that says nothing, and no network.
        control.clock(clock_s)
        rewire(world, device, link_up=False, kind="feed")
        restarted(world, device)
        control.push("sos", hold_s=1.5)
        control.wait(lambda shown: "SOS OPEN" in shown["screen"], 10)
        linked_ms = now_ms()
        control.link(up=True)
        case = case_of(world, device)
        assert linked_ms <= case["opened_received_ms"] <= now_ms()
        event = case["last_event"]
        assert (event["clock"], event["body"]["fix"]) == ("none", None)
        control.wait(lambda shown: "SOS STORED" in shown["screen"], 30)
        with console.opened(world) as page:
            row = page.locator(f"[data-test=case][data-device={device}]")
            assert row.locator("[data-test=happened]").inner_text() == "time unknown"
        rewire(world, device, kind="path")
        restarted(world, device)
        everybody_is_heard(world, (OFFLINE,))
        assert world.screen.shown()[device] == 1  # Still the same SOS.


def test_a_receiver_in_2099_is_not_believed_and_its_terminal_is_heard(world):
    with others_go_on(world, RECEIVER_2099):
        rewire(world, RECEIVER_2099, clock_off_s=YEARS_73_S)
        restarted(world, RECEIVER_2099)
        pressed_ms = now_ms()
        world.control(RECEIVER_2099).push("sos", hold_s=1.5)
        case = case_of(world, RECEIVER_2099)
        assert case["late"] is False
        assert abs(case["last_event"]["at_ms"] - pressed_ms) < 30_000

        def placed():
            row = world.call("GET", f"/devices/{RECEIVER_2099}")["position"]
            return row is not None and row["received_ms"] > pressed_ms and row

        position = wait_for("its position is shown", placed)
        assert abs(position["at_ms"] - now_ms()) < 60_000


def test_without_a_fix_nothing_is_made_up_and_an_sos_says_how_old_its_place_is(world):
    with others_go_on(world, NO_FIX):
        control = world.control(NO_FIX)
        control.receiver("no_fix")
        lost_ms = now_ms()
        time.sleep(3)  # Until what the receiver said before has been read.
        control.push("sos", hold_s=1.5)
        fix = case_of(world, NO_FIX)["last_event"]["body"]["fix"]
        fed = control.show()["fed"]
        assert fix["at"] <= lost_ms + 1000
        assert [fix["at"] // 1000, fix["lat"], fix["lon"]] == [fed[0] // 1000, *fed[1:]]
        assert all(at_s * 1000 <= fed[0] for at_s, *_ in accounts(world.home)[NO_FIX].fixes)
        control.receiver("fix")


def test_64_kib_of_garbage_on_the_receivers_line_cost_no_fix_after_them(world):
    with others_go_on(world, NOISY):
        # The lease of the beginning may be over: its fixes would come by the dozen.
        world.watch([NOISY])
        garbage = random.Random(64).randbytes(65_536)
        world.control(NOISY).feed(garbage)
        quiet_ms = now_ms()

        def goes_on():
            row = world.call("GET", f"/devices/{NOISY}")["position"]
            return row["at_ms"] > quiet_ms

        # Who stands still makes a fix a minute.
        wait_for("a fix after the garbage is shown", goes_on, 90)


def test_nobody_speaks_as_another_and_nobody_is_kicked(world, tmp_path):
    """A foreign certificate, another's topic, another's client id."""
    ours, foreign = Authority.open(world.home), Authority.create(tmp_path / "foreign")
    with others_go_on(world):
        before = connections(world)
        for authority, name in ((foreign, VICTIM), (ours, "t-0099")):
            files = tmp_path / f"{name}.pem", tmp_path / f"{name}.key.pem"
            write_identity(authority.issue_device(name), *files)
            assert forge(world, files) == (authority is ours)
        # What is denied would have come before this.
        world.control(VICTIM).push("sos", hold_s=1.5)
        case_of(world, VICTIM)
        assert FORGED_EPOCH not in {key[2] for key in world.wire.said}
        assert FORGED_EPOCH not in {key[1] for key in world.screen.rung}
        assert connections(world) == before


def connections(world: Installation) -> dict[str, tuple[int, int]]:
    """How often each device has connected, in which life, as it says itself."""
    rows = [row for row in world.items("/devices") if row["online"]]
    return {row["id"]: (row["state"]["boot"], row["state"]["connection"]) for row in rows}


def forge(world: Installation, files: tuple) -> bool:
    """Say an SOS in the victim's name; True when the broker took it, as it takes what it drops."""
    ca = Authority.open(world.home).devices_ca_path
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(*files)
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=VICTIM, reconnect_on_failure=False
    )
    client.tls_set_context(context)
    record = {
        "epoch": FORGED_EPOCH, "seq": 1, "kind": "sos", "at": now_ms(), "clock": "gnss",
        "uptime_s": 1, "boot": 1, "trigger": "button", "incident": 1, "press": 1, "fix": None,
    }  # fmt: skip
    message = records.wrap(1, records.seal(record))
    ended: list[object] = []
    client.on_disconnect = lambda *said: ended.append(said)
    try:
        client.connect("127.0.0.1", world.devices_port)
    except OSError:
        return False
    client.loop_start()
    try:
        wait_for("an answer", lambda: client.is_connected() or ended, 10)
        told = client.publish(f"xh/1/{VICTIM}/up/event", message, 1)
        with suppress(RuntimeError, ValueError):  # It was refused.
            told.wait_for_publish(5)
        return told.rc == mqtt.MQTT_ERR_SUCCESS and told.is_published()
    finally:
        client.disconnect()
        client.loop_stop()


class Guest(FakeDevice):
    """One more device of this installation, whose every byte the test chooses."""

    def __init__(self, world: Installation, folder: Path) -> None:
        authority = Authority.open(world.home)
        files = folder / "guest.pem", folder / "guest.key.pem"
        write_identity(authority.issue_device(GUEST), *files)
        place = SimpleNamespace(
            authority=authority, device_files=lambda _: files,
            listeners=SimpleNamespace(devices_port=world.devices_port),
        )  # fmt: skip
        super().__init__(place, GUEST, epoch=GUEST_EPOCH, resend_s=3600)


def bad_frames(guest: Guest) -> list[tuple[str, bytes]]:
    """Cut short, damaged, of another kind than their topic, and in nobody's language."""
    batch = guest.fixes().record
    header = frames.envelope(1, struct.pack("<BBI", *batch[:2], FORGED_EPOCH) + batch[6:])
    text = {"epoch": FORGED_EPOCH, "seq": 1, "kind": "sos"}
    return [
        *(("track", header[:length]) for length in (0, 3, 15, 16, len(header) - 1)),
        ("track", header + b"more"), ("reading", header), ("track", b"\xff" * 200),
        ("event", records.wrap(1, json.dumps(text).encode())),
        ("event", records.wrap(1, json.dumps(text | {"kind": "party"}).encode())[:40]),
        ("event", b"[" * 4000), ("result", b"{}"), ("state", b'{"online":"perhaps"}'),
    ]  # fmt: skip


def test_frames_twice_in_disorder_cut_and_forged_touch_nobody_else(world, tmp_path):
    dice = random.Random(4)
    world.xunhu("device", "add", GUEST)
    guest = Guest(world, tmp_path).connect(state=False)

    def known():
        guest.say_state()
        return world.call("GET", f"/devices/{GUEST}")["online"]

    wait_for("the gateway knows it", known, 30)
    with others_go_on(world, GUEST):
        bad = bad_frames(guest)
        batches = [guest.made[0], *(guest.fixes() for _ in range(3))]
        sos, report = guest.press_sos(), guest.event("report", text="雨")
        good = [(made.stream, message(1, made)) for made in (*batches, sos, report)]
        everything = [*good * 3, *bad * 2]
        dice.shuffle(everything)
        for stream, payload in everything:
            guest.raw(stream, payload, qos=1)
        wait_for("what is good is receipted", guest.is_empty, 60)
        case = case_of(world, GUEST)
        assert (case["presses"], case["late"]) == (1, False)
    with sqlite3.connect(world.home / "telemetry.sqlite") as telemetry:
        found = telemetry.execute(
            "SELECT epoch, seq, record FROM track JOIN device ON device.no = device_no"
            " WHERE device.id = ?", (GUEST,),
        )  # fmt: skip
        assert Counter(found) == Counter(
            (GUEST_EPOCH, made.first, made.record) for made in batches
        )
    with sqlite3.connect(world.home / "registry.sqlite") as registry:
        refused = "SELECT count(*) FROM quarantine WHERE device = ?"
        assert registry.execute(refused, (GUEST,)).fetchone()[0] > 0
    # The command room reads of each once, and of nothing else.
    events = world.items(f"/events?device={GUEST}")
    assert {(row["seq"], row["kind"]) for row in events} == {(1, "sos"), (2, "report")}
    assert len(events) == 2
    rung = {key[1:]: times for key, times in world.screen.rung.items() if key[0] == GUEST}
    assert rung == {(GUEST_EPOCH, 1): 1, (GUEST_EPOCH, 2): 1}
    newest = world.call("GET", f"/devices/{GUEST}")["position"]
    assert newest["lat_e6"] == LAT_E6 + batches[-1].last
    open_cases = Counter(row["device"] for row in world.cases())
    assert world.screen.shown() == open_cases
    with console.opened(world) as page:
        assert console.cases_shown(page) == open_cases
    guest.disconnect()
    world.call("POST", f"/cases/{case['id']}/take", {})
    world.call("POST", f"/cases/{case['id']}/close", {"reason": "a guest"})
    world.xunhu("device", "retire", GUEST)


def test_a_full_journal_names_what_it_gave_up_and_keeps_the_sos(world):
    with others_go_on(world, FULL):
        control = world.control(FULL)
        control.link(up=False)
        for _ in range(PRESSES_TO_FILL):
            push_through(control)
        control.push("sos", hold_s=1.5)
        control.wait(lambda shown: "SOS OPEN" in shown["screen"], 60)
        control.link(up=True)
        case_of(world, FULL)
        wait_for("all is stored or named", lambda: not accounts(world.home)[FULL].missing(), 180)
        account = accounts(world.home)[FULL]
        given_up = sum(count for _, stream, _, count in account.dropped if stream == "event")
        assert given_up > 0
        kept = len(account.of_kind("duty")) + given_up
        assert kept >= PRESSES_TO_FILL
        # The command room is told.
        flags = world.call("GET", f"/devices/{FULL}")["flags"]
        assert "dropped" in flags


def push_through(control) -> None:
    """Press duty, however busy the device is."""
    for press in (control.press, control.release):
        while True:
            try:
                press("duty")
                break
            except ControlError:
                time.sleep(0.05)  # As many presses as it takes wait already.


def test_an_sos_pressed_offline_arrives_late_with_both_times(world):
    since_ms = world.offline_since_ms
    wait_for("it is late", lambda: now_ms() - since_ms > LATE_S * 1000, LATE_S + 10)
    assert world.screen.shown()[OFFLINE] == 0
    assert not any("STORED" in line for line in world.control(OFFLINE).show()["screen"])
    linked_ms = now_ms()
    world.control(OFFLINE).link(up=True)
    case = case_of(world, OFFLINE)
    assert case["late"] is True
    assert 0 <= case["opened_at_ms"] - since_ms < 10_000
    assert linked_ms <= case["opened_received_ms"] <= now_ms()
    with console.opened(world) as page:
        row = page.locator(f"[data-test=case][data-device={OFFLINE}]")
        assert row.locator("[data-test=late]").inner_text() == "LATE"
        shown = [
            row.locator(f"[data-test={name}]").inner_text() for name in ("happened", "received")
        ]
        assert shown[0] != shown[1]
        assert page.locator("[data-test=case] [data-test=late]").count() == 1


def test_after_all_of_these_days_nothing_is_missing_double_or_made_up(world):
    pressed = {name: len(one.sos_ms) for name, one in accounts(world.home).items() if one.sos_ms}
    shown = wait_for("every SOS is on the screen", lambda: world.screen.shown() == pressed)
    assert shown
    with console.opened(world) as page:
        assert console.cases_shown(page) == pressed
    come_to_rest(world)
    assert_nothing_lost_or_doubled(world.home, world.wire, own_time=(RECEIVER_2099,))
