"""A whole terminal in real MicroPython, against a real broker and a gateway that receipts."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.device import nmea_lines
from tests.device.conftest import BUILT_S
from tests.device.device_rig import BROKER_NAME, REPOSITORY, wait_for
from tests.device.gateway_sim import SERVER_MS, Gateway
from tests.device.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path
from wire_protocol import messages, relay

DEVICE = "t-0001"
LIGHT_OF_A_FAULT = [[150, 150], [150, 150], [150, 150], [150, 2000]]
NOW_S = 1_795_000_000
LAT, LON = 30_274_150, 120_155_070


@pytest.fixture
def gateway(broker):
    gateway = Gateway(broker.plain_port)
    yield gateway
    gateway.close()


class Terminal:
    """A terminal that tests switch on, push and pull the battery of."""

    def __init__(self, micropython, keys, broker, folder: Path) -> None:
        self.micropython = micropython
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.mkdir()
        certificate, key = keys.issue(DEVICE, DEVICE)
        self.made = {
            "device_id": DEVICE,
            "certificate": certificate.hex(),
            "key": key.hex(),
            "ca": keys.ca_der.hex(),
            "journal_path": str(self.journal),
            "config": {
                "broker_host": "127.0.0.1",
                "broker_port": broker.port,
                "broker_name": BROKER_NAME,
                "device_kind": "terminal",
                "sos_hold_ms": 100,
                "return_s": 0,
            },
        }

    def on(self, *, config=None, **made) -> dict:
        """Switch it on; returns {"started": boot, "epoch"}."""
        self.made |= made
        self.made["config"] |= config or {}
        path = self.folder / "board.json"
        path.write_text(json.dumps(self.made))
        self.micropython.start("run_device.py", str(path))
        return self.micropython.wait(lambda said: "started" in said, "its start")

    def pull_battery(self) -> None:
        self.micropython.kill()

    def hold(self, name="sos", seconds=0.3) -> None:
        self.micropython.tell(do="hold", name=name, ms=round(seconds * 1000))

    def push(self, name, action="press") -> None:
        self.micropython.tell(do="input", name=name, action=action)

    def network(self, up: bool) -> None:
        self.micropython.tell(do="network", up=up)

    def feed(self, text: str) -> None:
        self.micropython.tell(do="feed", nmea=text)

    def stand(self, at_s=NOW_S, lat=LAT, lon=LON) -> None:
        """One fix, complete: the next epoch ends it."""
        self.feed(nmea_lines.epoch(at_s, lat, lon) + nmea_lines.void(at_s + 1))

    def ask(self, code: str):
        self.micropython.tell(do="eval", code=code)
        return self.micropython.wait(lambda said: "answer" in said, f"the answer to {code}")[
            "answer"
        ]

    def wait_since_fix(self, at_s: int, ms: int) -> None:
        """Wait until the fix of `at_s` came so long ago, by the terminal's own clock."""
        kind = "station.kind"
        code = (
            f"{kind}.fix and {kind}.fix.at_ms == {at_s * 1000} "
            f"and station.clock.uptime_ms() - {kind}.fix_ms >= {ms}"
        )
        wait_for(lambda: self.ask(code), f"{ms} ms after the fix of {at_s}")

    def wait_delivered(self) -> None:
        """Wait until everything is receipted."""
        held = "sum(station.logbook.journal.held(s) for s in ('track', 'event', 'result'))"
        wait_for(lambda: self.ask(held) == 0, "everything to be receipted")

    def shown(self, name, value=None):
        """Wait until something is shown."""
        return self.micropython.wait(
            lambda said: said.get("shown") == name and value in (None, said["value"]),
            f"{name} {value}",
        )["value"]

    def shows(self, line: str) -> None:
        self.micropython.wait(
            lambda said: said.get("shown") == "screen" and line in said["value"],
            f"{line!r} on the screen",
        )


@pytest.fixture
def terminal(micropython, keys, broker, tmp_path):
    return Terminal(micropython, keys, broker, tmp_path)


def status(epoch, incident, word, at_ms=SERVER_MS):
    return messages.make_sos_status(epoch, incident, word, "Wang Fang", at_ms)


# SOS.


def test_an_sos_shows_each_step_from_latched_to_help(terminal, gateway):
    gateway.receipting = False
    epoch = terminal.on()["epoch"]
    terminal.hold()
    terminal.shows("SOS OPEN")
    terminal.shows("SOS SENT")
    gateway.receipting = True  # The terminal repeats it after 2 s.
    terminal.shows("SOS STORED")
    record = gateway.wait_event("sos")
    assert (record["trigger"], record["press"], record["fix"]) == ("button", 1, None)
    assert record["incident"] == record["seq"]
    for word, line in (("taken", "SOS TAKEN"), ("help", "SOS HELP")):
        gateway.send(DEVICE, "sos_status", status(epoch, record["seq"], word))
        terminal.shows(line)
    gateway.wait_state(lambda state: state["sos"] and state["sos"]["shown"] == "help", "help")
    gateway.send(DEVICE, "sos_status", status(epoch, record["seq"], "closed"))
    gateway.wait_state(lambda state: state["online"] and state["sos"] is None, "no SOS")
    assert len(gateway.events("sos")) == 1


def test_a_lost_network_is_on_the_screen_before_the_link_knows(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.shows("off duty online")
    terminal.network(False)
    terminal.shows("off duty OFFLINE")
    assert terminal.ask("station.link.up.is_set()")
    terminal.network(True)
    terminal.shows("off duty online")


def test_that_nothing_waits_any_more_is_told(terminal, gateway):
    gateway.receipting = False
    terminal.on()
    gateway.wait_state(lambda state: state["online"] and state["held"]["event"], "what waits")
    gateway.receipting = True
    gateway.wait_state(lambda state: not any(state["held"].values()), "nothing waits")


def test_a_bench_sees_duty_sos_position_and_what_the_receiver_said(terminal):
    terminal.on(config={"duty": True})
    terminal.shown("duty", True)
    terminal.feed("noise$GNRMC,bad*00\r\n")
    terminal.stand()

    def sees(name, holds):
        terminal.micropython.wait(
            lambda said: said.get("shown") == name and said["value"] and holds(said["value"]), name
        )

    sees("receiver", lambda counts: counts == [3, 1, 5])
    sees("position", lambda fix: (fix["at"], fix["lat"], fix["lon"]) == (NOW_S * 1000, LAT, LON))
    terminal.hold()
    sees("sos", lambda sos: sos["incident"] > 0)


def test_a_short_touch_is_no_sos(terminal, gateway):
    terminal.on(config={"sos_hold_ms": 600})
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.hold(seconds=0.1)
    time.sleep(1)
    assert terminal.ask("station.kind.state()['sos']") is None
    assert gateway.events("sos") == []


def test_an_sos_is_in_flash_before_anything_is_sent_and_survives_the_battery(terminal, gateway):
    epoch = terminal.on(network=False)["epoch"]
    terminal.hold()
    terminal.shows("SOS OPEN")
    assert b'"kind":"sos"' in b"".join(p.read_bytes() for p in terminal.journal.glob("s0*"))
    terminal.pull_battery()
    assert terminal.on(network=True) == {"started": 2, "epoch": epoch}
    record = gateway.wait_event("sos")
    assert (record["boot"], record["clock"]) == (1, "none")
    terminal.shows("SOS STORED")
    time.sleep(1)
    assert len(gateway.events("sos")) == 1


def test_power_cut_between_latch_and_record_makes_the_record_at_the_next_start(terminal, gateway):
    epoch = terminal.on(network=False)["epoch"]
    terminal.pull_battery()
    row = ["open", 2, 1, 2, epoch, "button", ""]
    (terminal.journal / "sos.json").write_text(json.dumps(row))
    terminal.on(network=True)
    record = gateway.wait_event("sos")
    assert (record["seq"], record["incident"], record["boot"]) == (2, 2, 2)


def test_an_open_sos_whose_journal_is_gone_is_raised_anew(terminal, gateway):
    terminal.on(network=False)
    terminal.hold()
    terminal.shows("SOS OPEN")
    terminal.pull_battery()
    for path in terminal.journal.glob("????????*"):
        if path.suffix != ".json" or path.name == "epoch.json":
            path.unlink()
    terminal.on(network=True)
    record = gateway.wait_event("sos")
    assert (record["press"], record["boot"]) == (1, 2)


def test_a_second_press_adds_to_the_open_sos_and_alerts_again(terminal, gateway):
    terminal.on()
    terminal.hold()
    first = gateway.wait_event("sos")
    terminal.shows("SOS STORED")
    terminal.hold()
    second = gateway.wait_event("sos", 2)
    assert (second["press"], second["incident"]) == (2, first["seq"])
    terminal.shows("SOS STORED")


def test_an_sos_that_the_gateway_refused_is_not_shown_as_stored(terminal, gateway):
    gateway.receipting = False
    epoch = terminal.on()["epoch"]
    terminal.hold()
    terminal.shows("SOS SENT")
    seq = gateway.wait_event("sos")["seq"]
    receipt = json.loads(messages.make_receipt(SERVER_MS, epoch, {"event": [seq]}))
    receipt["refused"] = {"event": [seq]}
    gateway.send(DEVICE, "receipt", json.dumps(receipt).encode())
    terminal.shows("SOS NOT STORED")
    assert terminal.ask("list(board.shown['light'])") == LIGHT_OF_A_FAULT
    state = gateway.wait_state(lambda state: "sos_refused" in state["faults"], "the refusal")
    assert state["sos"] == {"incident": seq, "shown": "sent"}
    assert state["held"]["event"] == 0
    # A later receipt, or a start, does not make it stored.
    terminal.push("duty")
    terminal.pull_battery()
    gateway.receipting = True
    terminal.on()
    terminal.shows("SOS NOT STORED")
    terminal.wait_delivered()
    assert "SOS NOT STORED" in terminal.ask("station.kind._lines()")
    # The wearer presses again, and that one is.
    terminal.hold()
    terminal.shows("SOS STORED")


def pressed_again_and_closed_before_it_is_stored(terminal, gateway) -> dict:
    """Return the first press; the case that it opened is closed, the second press on its way."""
    terminal.on()
    terminal.hold()
    first = gateway.wait_event("sos")
    terminal.shows("SOS STORED")
    gateway.send(DEVICE, "sos_status", status(first["epoch"], first["seq"], "taken"))
    terminal.shows("SOS TAKEN")
    gateway.receipting = False
    terminal.hold()
    gateway.wait_event("sos", 2)
    gateway.send(DEVICE, "sos_status", status(first["epoch"], first["seq"], "closed"))
    # Nobody has taken the second press.
    terminal.shows("SOS OPEN")
    return first


def test_a_press_that_nobody_saw_outlives_the_closing_of_its_case(terminal, gateway):
    first = pressed_again_and_closed_before_it_is_stored(terminal, gateway)
    gateway.receipting = True
    terminal.shows("SOS STORED")
    # The gateway may repeat the closing as long as a terminal shows that incident.
    gateway.send(DEVICE, "sos_status", status(first["epoch"], first["seq"], "closed"))
    # Of the case that the press opened, under the incident that its record has.
    taken = status(first["epoch"], first["seq"], "taken", SERVER_MS + 1)
    gateway.send(DEVICE, "sos_status", taken)
    terminal.shows("SOS TAKEN")
    closed = status(first["epoch"], first["seq"], "closed", SERVER_MS + 2)
    gateway.send(DEVICE, "sos_status", closed)
    gateway.wait_state(lambda state: state["online"] and state["sos"] is None, "no SOS")


def test_a_closing_that_was_about_the_last_press_too_is_said_again_and_ends_it(terminal, gateway):
    first = pressed_again_and_closed_before_it_is_stored(terminal, gateway)
    second = gateway.events("sos")[-1]["seq"]
    # By what the terminal says the gateway finds the case of that press, which is the same one.
    wanted = {"incident": second, "shown": "open"}
    gateway.wait_state(lambda state: state["online"] and state["sos"] == wanted, "its own SOS")
    gateway.receipting = True
    terminal.shows("SOS STORED")
    gateway.send(DEVICE, "sos_status", status(first["epoch"], second, "closed"))
    gateway.wait_state(lambda state: state["online"] and state["sos"] is None, "no SOS")


def test_sos_and_ok_together_take_it_back_as_a_record(terminal, gateway):
    terminal.on()
    terminal.hold()
    first = gateway.wait_event("sos")
    terminal.push("sos")
    terminal.push("ok")
    assert gateway.wait_event("sos_cancel")["incident"] == first["seq"]
    gateway.wait_state(lambda state: state["online"] and state["sos"] is None, "no SOS")
    assert len(gateway.events("sos")) == 1


def raise_and_cancel_among_neighbours(terminal) -> None:
    """There is no network."""
    terminal.on(network=False, neighbours=True)
    terminal.hold()
    terminal.shown("radio")
    terminal.push("sos")
    terminal.push("ok")
    wait_for(lambda: terminal.ask("station.kind.state()['sos']") is None, "the cancel")


def test_a_cancel_is_handed_to_neighbours_until_its_receipt(terminal, gateway):
    def carried() -> list[int]:
        """Return the kinds of the next two frames: of an SOS and what follows it, in one call."""
        return sorted(
            relay.parse_header(bytes.fromhex(terminal.shown("radio")))[0] for _ in range(2)
        )

    raise_and_cancel_among_neighbours(terminal)
    assert carried() == [relay.SOS, relay.SOS_CANCEL]
    terminal.pull_battery()
    terminal.on()
    assert carried() == [relay.SOS, relay.SOS_CANCEL]
    terminal.network(True)
    gateway.wait_event("sos_cancel")
    terminal.wait_delivered()
    terminal.network(False)
    terminal.ask("station.link._fail(OSError(5))")
    wait_for(lambda: not terminal.ask("station.link.up.is_set()"), "no link")
    seen = len(terminal.micropython.lines)
    time.sleep(5)
    terminal.ask("0")
    assert not [line for line in terminal.micropython.lines[seen:] if '"radio"' in line]


def test_a_cancel_is_handed_to_neighbours_though_the_flash_has_failed_since(terminal):
    raise_and_cancel_among_neighbours(terminal)
    break_the_flash(terminal)
    terminal.push("duty")
    wait_for(lambda: terminal.ask("bool(station.logbook.old)"), "the journal in memory")
    seen = len(terminal.micropython.lines)

    def called() -> set[int]:
        terminal.ask("0")
        said = [json.loads(line) for line in terminal.micropython.lines[seen:] if line[:1] == "{"]
        frames = [bytes.fromhex(row["value"]) for row in said if row.get("shown") == "radio"]
        return {relay.parse_header(frame)[0] for frame in frames}

    wait_for(lambda: called() == {relay.SOS, relay.SOS_CANCEL}, "both")


def test_a_silent_sos_only_vibrates(terminal, gateway):
    terminal.on(config={"silent": True})
    gateway.wait_state(lambda state: state["online"], "online")
    seen = len(terminal.micropython.lines)
    terminal.hold()
    terminal.shown("vibrate", [[1000, 0]])
    gateway.wait_event("sos")
    said = [json.loads(line) for line in terminal.micropython.lines[seen:] if line[:1] == "{"]
    assert gateway.events("sos")[0]["trigger"] == "silent"
    for row in said:
        if row.get("shown") in ("light", "tone"):
            assert row["value"] == []
        assert "SOS" not in str(row.get("value"))


FAULT_FELT = [[150, 150]] * 4 + [[150, 0]]


def signals_a_fault(terminal, gateway, name) -> None:
    """The wearer feels it once, sees it from then on, and the command room hears of it at once."""
    seen = len(terminal.micropython.lines)
    terminal.shown("vibrate", FAULT_FELT)
    state = gateway.wait_state(lambda state: name in state.get("faults", ()), name)
    assert state["uptime_s"] < 60, "that was the next state in its turn"
    assert "! " + name in terminal.ask("station.kind._lines()")
    assert terminal.ask("list(board.shown['light'])") == LIGHT_OF_A_FAULT
    time.sleep(3)
    terminal.ask("0")
    said = [json.loads(line) for line in terminal.micropython.lines[seen:] if line[:1] == "{"]
    felt = [row for row in said if row.get("shown") == "vibrate" and row["value"] == FAULT_FELT]
    assert len(felt) == 1


def test_a_full_journal_is_signalled_once_and_told_at_once(terminal, gateway):
    gateway.receipting = False
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.ask("setattr(station.logbook.journal, '_segments_max', 1)")
    fill = "[station.logbook.event('report', {'text': 'x' * 190}) for _ in range(20)][-1]"
    assert terminal.ask(fill) is None
    signals_a_fault(terminal, gateway, "journal_full")
    # An SOS finds room, and that is no reason to say that all is well.
    terminal.ask("setattr(station.logbook.journal, '_segments_max', 20)")
    terminal.hold()
    gateway.wait_event("sos")
    assert "journal_full" in terminal.ask("list(station.logbook.faults)")


def test_a_flash_that_refuses_small_files_is_signalled_once_and_told_at_once(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    (terminal.journal / "duty.json.new").mkdir()
    terminal.push("duty")
    signals_a_fault(terminal, gateway, "flash")


def test_a_journal_that_was_lost_is_signalled_once(terminal, gateway):
    terminal.on(journal_lost=True)
    signals_a_fault(terminal, gateway, "journal_lost")


def test_an_sos_goes_out_though_the_flash_has_failed(terminal, gateway):
    terminal.on(journal_state="failed")
    terminal.hold()
    record = gateway.wait_event("sos")
    terminal.shows("SOS STORED")
    assert "journal" in gateway.wait_state(lambda s: s.get("sos"), "its SOS")["faults"]
    terminal.hold()
    second = gateway.wait_event("sos", 2)
    assert (second["incident"], second["press"]) == (record["seq"], 2)


def test_an_sos_goes_out_though_the_flash_fails_while_it_works(terminal, gateway):
    epoch = terminal.on()["epoch"]
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.journal.rename(terminal.folder / "gone")
    terminal.hold()
    record = gateway.wait_event("sos")
    assert record["epoch"] != epoch
    assert record["incident"] == record["seq"]
    terminal.shows("SOS STORED")
    gateway.wait_state(lambda s: "journal" in s.get("faults", ()), "the fault")


def test_an_open_sos_is_told_with_its_own_epoch_when_the_flash_has_failed(terminal, gateway):
    epoch = terminal.on()["epoch"]
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.hold()
    incident = gateway.wait_event("sos")["incident"]
    terminal.shows("SOS STORED")
    said = {"incident": incident, "shown": "stored"}
    gateway.wait_state(lambda state: state["sos"] == said, "the SOS")
    terminal.journal.rename(terminal.folder / "gone")
    terminal.push("duty")
    gateway.wait_state(lambda state: state["epoch"] != epoch, "the journal in memory")
    gateway.wait_state(lambda state: state["sos"] == {"epoch": epoch, **said}, "its epoch")


def break_the_flash(terminal) -> None:
    """From now on it takes nothing, and can be read."""
    for family in "tresx":
        # What is to be a new segment is there, and a folder; and no old one takes a byte.
        rows = f"station.logbook.journal.index['{family}']"
        terminal.ask(f"[row.insert(2, 4096) or row.pop(3) for row in {rows}]")
    for name in ("t", "r", "e", "s", "x"):
        stream = {"t": "track", "r": "reading", "x": "result"}.get(name, "event")
        seq = terminal.ask(f"station.logbook.journal.next_seq('{stream}')")
        (terminal.journal / f"{name}{seq:08x}").mkdir()
    for name in ("lost", "duty", "orders"):
        (terminal.journal / f"{name}.json.new").mkdir(exist_ok=True)


def test_what_a_failed_flash_still_holds_is_sent_without_a_restart(terminal, gateway):
    gateway.receipting = False
    epoch = terminal.on(config={"batch_fixes": 1})["epoch"]
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.hold()
    terminal.shows("SOS SENT")
    held = terminal.ask("station.logbook.held('event')")
    assert held == 2
    break_the_flash(terminal)
    terminal.hold()
    second = gateway.wait_event("sos", 2)
    fresh = [event for event in gateway.events("sos") if event["epoch"] != epoch]
    assert [(event["incident"], event["press"]) for event in fresh] == [(1, 2)], second
    gateway.wait_state(lambda state: state["held"]["event"] == 3, "all that waits")
    gateway.stored.clear()
    gateway.receipting = True
    gateway.wait(lambda: len(gateway.events()) == 3, "both journals")
    gateway.wait_state(lambda state: state["held"]["event"] == 0, "nothing that waits")
    assert sorted(event["epoch"] == epoch for event in gateway.events()) == [False, True, True]
    terminal.shows("SOS STORED")
    assert terminal.ask("station.logbook.boot") == 1


def test_a_press_without_room_in_memory_is_not_shown_as_recorded(terminal, gateway):
    terminal.on(journal_state="failed", network=False)
    terminal.hold()
    terminal.shows("SOS OPEN")
    full = "[station.logbook.event('sos_cancel', {'incident': 1}, True) for _ in range(30)][-1]"
    assert terminal.ask(full) is None
    before = terminal.ask("station.kind._sos.as_row()")
    terminal.hold()
    terminal.shown("vibrate", [[1000, 0]])
    assert terminal.ask("station.kind._sos.as_row()") == before
    # Nor is it taken back without a record of that.
    terminal.push("sos")
    terminal.push("ok")
    terminal.push("ok", "release")
    terminal.push("sos", "release")
    assert terminal.ask("station.kind._sos.as_row()") == before
    epoch = terminal.ask("station.logbook.journal.epoch")
    terminal.network(True)
    assert gateway.wait_event("sos")["epoch"] == epoch
    terminal.shows("SOS STORED")


def test_a_second_sos_goes_out_at_once_though_the_flash_has_failed_since(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.hold()
    first = gateway.wait_event("sos")
    terminal.shows("SOS STORED")
    gateway.send(DEVICE, "sos_status", status(first["epoch"], first["incident"], "closed"))
    gateway.wait_state(lambda state: state["sos"] is None, "the end of the first")
    terminal.wait_delivered()
    # Switched on again it has no file open that a host would let it go on writing.
    terminal.pull_battery()
    terminal.on()
    gateway.wait_state(lambda state: state["online"] and state["boot"] == 2, "online again")
    terminal.journal.rename(terminal.folder / "gone")
    terminal.hold()
    # In the same connection: the journal in memory counts from 1 again.
    gateway.wait_event("sos", 2)
    second = [event for event in gateway.events("sos") if event["boot"] == 2]
    assert [event["epoch"] != first["epoch"] for event in second] == [True]
    terminal.shows("SOS STORED")
    assert gateway.state()["connection"] == 1


def test_an_sos_makes_every_second_a_fix_that_is_sent_at_once_off_duty_too(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.stand(NOW_S)
    terminal.hold()
    assert gateway.wait_event("sos")["fix"]["lat"] == LAT
    for second in range(2, 6):
        terminal.stand(NOW_S + 2 * second, LAT + second)
        time.sleep(1.05)
    gateway.wait(lambda: len(gateway.batches()) >= 4, "four batches of one")
    assert {len(batch.fixes) for batch in gateway.batches()} == {1}
    gateway.send(DEVICE, "sos_status", status(gateway.events("sos")[0]["epoch"], 2, "closed"))
    gateway.wait_state(lambda state: state["online"] and state["sos"] is None, "no SOS")
    stored = len(gateway.batches())
    terminal.stand(NOW_S + 60)
    time.sleep(1.5)
    assert len(gateway.batches()) == stored


# Duty and tracks.


def test_duty_is_set_by_the_button_recorded_shown_and_kept(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"] and state["duty"] is False, "off duty")
    terminal.push("duty")
    gateway.wait_state(lambda state: state["duty"] is True, "on duty")
    terminal.pull_battery()
    terminal.on()
    gateway.wait_state(lambda s: s["online"] and s["boot"] == 2 and s["duty"], "still on duty")
    assert [(e["on"], e["by"]) for e in gateway.events("duty")] == [
        (False, "boot"),
        (True, "button"),
    ]


def test_off_duty_no_fix_is_kept_or_sent(terminal, gateway):
    terminal.on(faster=20)
    gateway.wait_state(lambda state: state["online"], "online")
    for second in range(0, 40, 5):
        terminal.stand(NOW_S + second, LAT + second * 20)
        time.sleep(0.3)
    time.sleep(2)
    assert gateway.batches() == []
    assert not list(terminal.journal.glob("t0*"))


def test_on_duty_walking_fills_batches_of_12(terminal, gateway):
    # A batch ends by its age, too: on a busy machine twelve fixes take longer than a minute.
    terminal.on(faster=20, config={"duty": True, "batch_s": 600})
    gateway.wait_state(lambda state: state["online"], "online")
    for second in range(0, 130, 5):
        terminal.stand(NOW_S + second, LAT + second * 11)
        terminal.wait_since_fix(NOW_S + second, 5_000)
    gateway.wait(lambda: len(gateway.batches()) >= 2, "two batches")
    first, second = gateway.batches()[:2]
    assert (len(first.fixes), second.seq) == (12, first.seq + 12)
    assert [fix.at_ms for fix in first.fixes] == [(NOW_S + 5 * n) * 1000 for n in range(12)]
    assert first.fixes[3].lat_e6 == LAT + 15 * 11


def test_while_somebody_watches_each_fix_is_sent_at_once(terminal, gateway):
    terminal.on(config={"duty": True})
    gateway.wait_state(lambda state: state["online"], "online")
    gateway.send(DEVICE, "watch", messages.make_watch(60))
    time.sleep(0.5)
    terminal.stand(NOW_S)
    gateway.wait(gateway.batches, "a batch", 3)
    assert len(gateway.batches()[0].fixes) == 1


def test_going_off_duty_seals_what_was_recorded_on_duty(terminal, gateway):
    terminal.on(config={"duty": True})
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.stand(NOW_S)
    terminal.ask("station.kind.state()")
    time.sleep(0.3)
    terminal.push("duty")
    assert len(gateway.wait(gateway.batches, "the batch")[0].fixes) == 1


def test_garbage_on_the_receivers_line_costs_no_fix_after_it(terminal, gateway):
    terminal.on(config={"duty": True, "batch_fixes": 1})
    gateway.wait_state(lambda state: state["online"], "online")
    chance = random.Random(5)
    noise = "".join(chr(chance.randrange(1, 127)) for _ in range(65_536))
    for start in range(0, len(noise), 4096):
        terminal.feed(noise[start : start + 4096])
    terminal.feed("\r\n")
    terminal.stand(NOW_S)
    assert gateway.wait(gateway.batches, "the fix")[0].fixes[0].lat_e6 == LAT


# Clock.


def test_the_clock_is_set_before_the_first_connection_and_climbs_its_ladder(terminal, gateway):
    gateway.receipting = False
    terminal.on(config={"duty": True, "batch_fixes": 1})
    set_to = terminal.micropython.lines[0]
    assert json.loads(set_to)["rtc_s"] == BUILT_S
    state = gateway.wait_state(lambda state: state["online"], "online")
    assert state["clock"] == "none"
    gateway.receipting = True
    gateway.send(DEVICE, "receipt", messages.make_receipt(SERVER_MS, state["epoch"], {}))
    wait_for(lambda: terminal.ask("station.clock.quality") == 2, "the server's time")
    terminal.stand(NOW_S)
    wait_for(lambda: terminal.ask("station.clock.quality") == 3, "the satellites' time")
    assert abs(terminal.ask("station.clock.now_ms()") - NOW_S * 1000) < 10_000
    assert gateway.wait(gateway.batches, "the fix")[0].clock == 3
    terminal.pull_battery()
    seen = len(terminal.micropython.lines)
    terminal.on()
    assert json.loads(terminal.micropython.lines[seen])["rtc_s"] >= NOW_S
    assert terminal.ask("station.clock.quality") == 0


def test_a_receiver_in_the_wrong_year_is_believed_its_place_alone(terminal, gateway):
    (terminal.journal / "clock.json").write_text(str(NOW_S))
    terminal.on(config={"duty": True, "batch_fixes": 1}, rtc_s=NOW_S, faster=20)
    gateway.wait_state(lambda state: state["online"], "online")
    for year_s in (1_137_000_000, 4_040_000_000):  # 2006, and 2098
        terminal.stand(year_s, LAT + year_s % 7)
        time.sleep(0.5)
    batches = gateway.wait(lambda: gateway.batches() if len(gateway.batches()) > 1 else 0, "both")
    for batch in batches:
        assert batch.clock in (1, 2)
        assert batch.fixes[0].at_ms // 1000 < 2_000_000_000


def test_the_hosts_clock_means_nothing(terminal, gateway):
    library = sorted((REPOSITORY / ".tools").glob("faketime/**/libfaketime.so.1"))
    assert library, "no libfaketime: run `make setup`"
    terminal.micropython.environment = {
        "LD_PRELOAD": str(library[0]),
        "FAKETIME": "2037-01-01 00:00:00",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    terminal.on(config={"duty": True, "batch_fixes": 1})
    state = gateway.wait_state(lambda state: state["online"], "online")
    assert BUILT_S <= state["at"] // 1000 < SERVER_MS // 1000 + 60
    terminal.stand(NOW_S)
    assert gateway.wait(gateway.batches, "the fix")[0].fixes[0].at_ms == NOW_S * 1000


# Commands.


def command(number, kind, body, ttl_s=60, issued_ms=SERVER_MS):
    return messages.make_command(f"{number:016x}", kind, body, ttl_s, issued_ms)


def test_a_message_is_done_when_the_wearer_has_read_it(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    gateway.send(DEVICE, "command", command(1, "message", {"text": "到桥头集合"}))
    terminal.shows("到桥头集合")
    gateway.wait_result(f"{1:016x}", "accepted")
    terminal.push("ok")
    gateway.wait_result(f"{1:016x}", "done")


def test_a_command_is_run_once_however_often_it_comes(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    for _ in range(3):
        gateway.send(DEVICE, "command", command(2, "duty", {"on": True}))
    gateway.wait_result(f"{2:016x}", "done")
    terminal.pull_battery()
    terminal.on()
    gateway.wait_state(lambda state: state["online"] and state["boot"] == 2, "online again")
    gateway.send(DEVICE, "command", command(2, "duty", {"on": True}))
    gateway.send(DEVICE, "command", command(3, "duty", {"on": False}))
    gateway.wait_result(f"{3:016x}", "done")
    assert len(gateway.results(f"{2:016x}")) == 1
    assert [e["on"] for e in gateway.events("duty") if e["by"] == "command"] == [True, False]


def test_locate_is_answered_with_a_fresh_fix_and_refused_off_duty(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    gateway.send(DEVICE, "command", command(4, "locate", {}))
    assert gateway.wait_result(f"{4:016x}", "refused")["reason"] == "off duty"
    terminal.push("duty")
    gateway.wait_state(lambda state: state["duty"], "on duty")
    gateway.send(DEVICE, "command", command(5, "locate", {}))
    gateway.wait_result(f"{5:016x}", "accepted")
    terminal.stand(NOW_S)
    found = gateway.wait_result(f"{5:016x}", "done")["data"]["fix"]
    assert (found["lat"], found["lon"], found["at"]) == (LAT, LON, NOW_S * 1000)


def test_what_cannot_be_run_is_answered_with_its_reason(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    later = json.loads(command(6, "message", {"text": "x"}))
    later["kind"] = "self_destruct"
    gateway.send(DEVICE, "command", json.dumps(later).encode())
    assert gateway.wait_result(f"{6:016x}", "refused")["reason"] == "unknown kind"
    gateway.send(DEVICE, "mute", messages.make_mute(f"{7:016x}", "smoke", 60))
    gateway.wait_result(f"{7:016x}", "refused")
    # The receipts have told the time by now: this one is too old.
    old = command(8, "duty", {"on": True}, ttl_s=30, issued_ms=SERVER_MS - 60_000)
    gateway.send(DEVICE, "command", old)
    gateway.wait_result(f"{8:016x}", "expired")
    gateway.send(DEVICE, "command", b'{"v":1}')
    gateway.send(DEVICE, "command", command(9, "duty", {"on": True}))
    gateway.wait_result(f"{9:016x}", "done")


def test_a_message_unread_at_its_end_of_life_expires(terminal, gateway):
    terminal.on(faster=10)
    gateway.wait_state(lambda state: state["online"], "online")
    for number in range(10, 15):
        gateway.send(DEVICE, "command", command(number, "message", {"text": "x"}, ttl_s=20))
    assert gateway.wait_result(f"{14:016x}", "refused")["reason"] == "busy"
    for number in range(10, 14):
        gateway.wait_result(f"{number:016x}", "expired")
    terminal.push("ok")
    assert not [r for r in gateway.results(f"{10:016x}") if r["status"] == "done"]


def test_a_message_unread_when_the_power_went_is_answered_as_failed(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    gateway.send(DEVICE, "command", command(20, "message", {"text": "x"}))
    gateway.wait_result(f"{20:016x}", "accepted")
    terminal.pull_battery()
    terminal.on()
    assert gateway.wait_result(f"{20:016x}", "failed")["reason"] == "restarted"


# Delivery.


def test_everything_held_is_sent_after_an_outage_and_stored_once(terminal, gateway, broker):
    gateway.receipting = False
    terminal.on(config={"duty": True, "batch_fixes": 1})
    gateway.wait_state(lambda state: state["online"], "online")
    broker.kill()
    for second in range(30):
        terminal.stand(NOW_S + second * 5, LAT + second * 200)
        time.sleep(0.02)
    terminal.push("duty")
    broker.start()
    gateway.receipting = True
    terminal.wait_delivered()
    assert [e["on"] for e in gateway.events("duty")] == [True, False]
    epoch = terminal.ask("station.logbook.journal.epoch")
    last = terminal.ask("station.logbook.journal.next_seq('track')") - 1
    assert [key[2] for key in sorted(gateway.stored) if key[:2] == (epoch, "track")] == list(
        range(1, last + 1)
    )


def test_tracks_that_nobody_heard_are_sent_again_soon(terminal, gateway):
    gateway.deaf = True
    terminal.on(config={"duty": True, "batch_fixes": 1}, faster=20)
    gateway.wait_state(lambda state: state["online"], "online")
    for second in range(0, 60, 5):
        terminal.stand(NOW_S + second, LAT + second * 200)
        time.sleep(0.27)
    assert gateway.batches() == []
    gateway.deaf = False
    terminal.wait_delivered()
    assert len(gateway.batches()) >= 10


def test_a_batch_lost_among_others_is_sent_again_soon(terminal, gateway):
    terminal.on(config={"duty": True, "batch_fixes": 1}, faster=20)
    gateway.wait_state(lambda state: state["online"], "online")
    for second in range(0, 60, 5):
        gateway.deaf = second in (20, 25)
        terminal.stand(NOW_S + second, LAT + second * 200)
        time.sleep(0.3)
    terminal.wait_delivered()
    seqs = [batch.seq for batch in gateway.batches()]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_line_cut_at_random_points_loses_nothing_and_doubles_nothing(terminal, gateway, broker):
    chance = random.Random(11)
    with Proxy(broker.port) as proxy:
        terminal.on(config={"duty": True, "batch_fixes": 1, "broker_port": proxy.port})
        gateway.wait_state(lambda state: state["online"], "online")
        terminal.hold()  # An open SOS tries again within seconds.
        for turn in range(6):
            proxy.cut_after(chance.randrange(1, 900))
            for second in range(8):
                terminal.stand(NOW_S + turn * 100 + second * 2, LAT + second * 300)
                time.sleep(0.1)
            terminal.push("duty")
            time.sleep(chance.uniform(0.2, 1.0))
        proxy.cut_after(None)
        terminal.wait_delivered()
        assert proxy.cuts >= 3
    for stream in ("track", "event", "result"):
        epoch = terminal.ask("station.logbook.journal.epoch")
        last = terminal.ask(f"station.logbook.journal.next_seq('{stream}')") - 1
        found = [key[2] for key in sorted(gateway.stored) if key[:2] == (epoch, stream)]
        assert found == list(range(1, last + 1)), stream


def test_the_state_says_what_a_command_room_needs(terminal, gateway):
    terminal.on(config={"duty": True})
    state = gateway.wait_state(lambda state: state["online"], "online")
    assert state["version"] == "0.0.0-test"
    assert (state["battery_mv"], state["battery_percent"], state["rssi_dbm"]) == (3900, 70, -60)
    assert (state["boot"], state["connection"], state["reset"]) == (1, 1, "power")
    assert state["heap_free"] > 10_000
    terminal.pull_battery()
    gone = gateway.wait_state(lambda state: not state["online"], "its will")
    assert (gone["epoch"], gone["boot"], gone["connection"]) == (state["epoch"], 1, 1)


def test_a_task_that_crashes_is_started_again_and_remembered(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.ask("setattr(station.kind, 'on_tick', None)")
    wait_for(lambda: terminal.ask("len(station.kept.load('crashes', []))") >= 2, "crashes")
    terminal.ask("delattr(station.kind, 'on_tick')")
    gateway.wait_state(lambda s: "crash_tick" in s.get("faults", ()), "the fault")
    terminal.hold()
    gateway.wait_event("sos")
    terminal.pull_battery()
    assert (terminal.journal / "crashes.json").exists()
    terminal.on()
    assert terminal.ask("station.kept.load('crashes')[0][2]") == "tick"


def test_a_connection_that_lives_long_is_well_and_the_watchdog_is_fed(terminal, gateway):
    terminal.on(faster=40)
    gateway.wait_state(lambda state: state["online"], "online")
    time.sleep(9)  # Six minutes of its clock: longer than the limit of any task.
    # (Its seconds are too short for the tick, which counts ours.)
    assert "link" not in terminal.ask("station.supervisor.late()")
    assert terminal.ask("station.link.connection") == 1


def test_buttons_that_hang_are_noticed(terminal, gateway):
    terminal.on(faster=20)
    gateway.wait_state(lambda state: state["online"], "online")
    time.sleep(5)  # 100 s of its clock: nobody touches a button, and they are well.
    assert terminal.ask("station.supervisor.late()") == []
    # What never comes, in the place of what they wait for.
    terminal.ask("setattr(board, 'next_input', lambda: board.receiver.readinto(bytearray(1)))")
    wait_for(lambda: terminal.ask("station.supervisor.late()") == ["buttons"], "the buttons")


def test_an_sos_whose_raising_fails_is_raised_by_the_tick(terminal, gateway):
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.ask("setattr(station.kind, '_seal_press', None)")
    terminal.hold()
    wait_for(lambda: "tick" in terminal.ask("sorted(station.supervisor.crashed)"), "its failure")
    terminal.ask("delattr(station.kind, '_seal_press')")
    gateway.wait_event("sos")
