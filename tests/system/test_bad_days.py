"""Bad days of the servers, with the rigs of the real firmware as outside witnesses."""

import http.client
import itertools
import os
import random
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import pytest

from gateway.adapters.crash_points import PATHS, POINTS
from provisioning.control import ControlError
from tests.system import console
from tests.system.accounts import (
    Account,
    accounts,
    assert_nothing_lost_or_doubled,
    longest_way_s,
)
from tests.system.installation import Installation, started, wait_for
from tests.system.rest import come_to_rest, everybody_is_heard, now_ms
from tests.system.witness import Screen, Wire
from xunhu.broker import answers

TERMINALS, SENSORS = 8, 2
RECORDS_MIN = 3 * TERMINALS
NAMED = [f"{path}.{point}" for path in PATHS for point in POINTS]
KILLED = ("gateway-1", "gateway-2", "api-1")
# Named points and kills from outside at any moment, 20 in all.
ROUNDS = (20 - len(NAMED)) // len(KILLED)
# Of a watched terminal's fix: less than a second on a quiet machine.
WAY_S_MAX = 10.0
AWAY_MS = 60_000
# The broker drops a frozen gateway after 9 s, `xunhu up` kills it after 10.
FROZEN_MS_MAX = 15_000


@pytest.fixture
def bad_day(tmp_path):
    options = [
        "--terminals", str(TERMINALS), "--sensors", str(SENSORS), "--gateways", "2", "--witness",
    ]  # fmt: skip
    with started(tmp_path / "home", *options) as running:
        wait_for("all are online", lambda: running.online() == TERMINALS + SENSORS)
        running.watch(running.terminals())
        yield running


class Work:
    """A busy command room and a nervous smoke detector: traffic on the urgent path.

    Requests that find a dead API are lost, as they are for people; what devices make is not.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._terminals = itertools.cycle(installation.terminals())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)
        self.answered = 0

    def __enter__(self) -> "Work":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        smoke = self._installation.control("s-0001")
        for number in itertools.count():
            if self._stopping.wait(0.1):
                return
            with suppress(OSError, http.client.HTTPException, ControlError):
                smoke.set_sensor("smoke", 600 if number // 50 % 2 else 20)
                self._installation.call("POST", f"/devices/{next(self._terminals)}/locate", {})
                self._installation.items("/devices")
                self.answered += 1


def die_at(installation: Installation, point: str, dice: random.Random) -> None:
    """A third gateway lives until it reaches a named point, and dies there by SIGKILL."""
    # The first messages of the urgent path are the kept states: those are no load.
    count = dice.randint(12, 20) if point.startswith("urgent") else dice.randint(2, 6)
    gateway = installation.gateway_beside("3", XUNHU_GATEWAY_STOP_AT=f"{point}:{count}")
    try:
        assert gateway.wait_until_dead(180) == -signal.SIGKILL, gateway.log.read_text()
    finally:
        gateway.kill()


def kill_and_wait(installation: Installation, victims: list[str], dice: random.Random) -> None:
    """Kill parts one after the other at any moment, and wait until `xunhu up` has them back."""
    before = {}
    for victim in victims:
        time.sleep(dice.random())  # Where in its work it dies is left to chance.
        before[victim] = installation.pid(victim)
        installation.kill(victim)
    for victim, pid in before.items():
        wait_for(f"{victim} is started again", lambda v=victim, p=pid: installation.pid(v) != p)
    wait_for("the API answers", lambda: answers("127.0.0.1", installation.api_port))


@pytest.mark.timeout(600)
def test_twenty_kills_under_load_lose_and_double_nothing(bad_day):
    """Eight at the named points, twelve of gateways and API at any moment."""
    dice = random.Random(20)
    ends = dice.sample(NAMED, len(NAMED))
    terminals = bad_day.terminals()
    pressed = dice.sample(terminals, ROUNDS)
    with (
        Wire(bad_day) as wire,
        Screen(bad_day) as screen,
        Work(bad_day) as work,
        ThreadPoolExecutor(1) as beside,
    ):
        deaths = [beside.submit(die_at, bad_day, point, dice) for point in ends]
        for device in pressed:
            bad_day.control(device).push("sos", hold_s=1.5)
            kill_and_wait(bad_day, dice.sample(KILLED, len(KILLED)), dice)
        for death in deaths:
            death.result()
        answered = work.answered
        wait_for("the command room works again", lambda: work.answered > answered + 10)
        wait_for("each SOS is on the screen", lambda: screen.shown() == dict.fromkeys(pressed, 1))
        with console.opened(bad_day) as page:
            wait_for(
                "the console shows each SOS once",
                lambda: (
                    {d: n for d, n in console.cases_shown(page).items() if d[0] == "t"}
                    == dict.fromkeys(pressed, 1)
                ),
            )
        assert screen.snapshots > ROUNDS  # It lost its API each time.
        assert {row["device"]: row["presses"] for row in bad_day.cases()} == dict.fromkeys(
            pressed, 1
        )
        work.__exit__()
        come_to_rest(bad_day)
        counted = assert_nothing_lost_or_doubled(bad_day.home, wire)
    assert min(counted["track"], counted["result"], counted["event"]) > 20


def test_one_gateway_killed_and_one_frozen_hold_up_nobody(bad_day):
    with Wire(bad_day) as wire, Screen(bad_day) as screen:
        frozen = bad_day.pid("gateway-2")
        began_ms = now_ms()
        bad_day.kill("gateway-2", signal.SIGSTOP)
        bad_day.kill("gateway-1")
        bad_day.control("t-0001").push("sos", hold_s=1.5)
        wait_for("the SOS is on the screen", lambda: screen.shown() == {"t-0001": 1}, 30)
        wait_for("the frozen one is killed", lambda: bad_day.pid("gateway-2") != frozen, 30)
        everybody_is_heard(bad_day)
        wait_for("a while after that", lambda: now_ms() > began_ms + FROZEN_MS_MAX + 20_000, 60)
        for device in bad_day.terminals():
            way_s = longest_way_s(bad_day.home, device, began_ms + FROZEN_MS_MAX, WAY_S_MAX)
            assert way_s < WAY_S_MAX, f"a fix of {device} took {way_s:.0f} s to be stored"
        come_to_rest(bad_day)
        assert_nothing_lost_or_doubled(bad_day.home, wire)
        assert len(bad_day.items("/cases?kind=sos")) == 1


def test_a_broker_killed_again_and_again_loses_and_doubles_nothing(bad_day):
    """It keeps nothing (ADR 0024): each time it starts with an empty memory."""
    terminals = bad_day.terminals()
    with Screen(bad_day) as screen:
        for number in range(3):
            pid = bad_day.pid("broker")
            bad_day.kill("broker")
            # Pressed while nobody can hear it.
            bad_day.control(terminals[number]).push("sos", hold_s=1.5)
            wait_for("the broker is back", lambda pid=pid: bad_day.pid("broker") != pid, 30)
            wait_for(
                "the SOS is on the screen",
                lambda n=number: screen.shown() == dict.fromkeys(terminals[: n + 1], 1),
                60,
            )
        wait_for("everybody is back", lambda: bad_day.online() == TERMINALS + SENSORS, 90)
        everybody_is_heard(bad_day)
        come_to_rest(bad_day)
    assert assert_nothing_lost_or_doubled(bad_day.home)["track"] > 0
    assert len(bad_day.items("/cases?kind=sos")) == 3


@contextmanager
def kept_away(installation: Installation, *parts: str):
    """Kill parts, and again whenever `xunhu up` has started one of them."""
    dead: dict[str, int] = {}
    let_live = threading.Event()

    def kill():
        while not let_live.wait(0.02):
            for part in parts:
                pid = installation.pid(part)
                if dead.get(part) != pid:
                    with suppress(ProcessLookupError):
                        installation.kill(part)
                    dead[part] = pid

    thread = threading.Thread(target=kill, name="kept away", daemon=True)
    thread.start()
    wait_for("they are gone", lambda: len(dead) == len(parts))
    try:
        yield
    finally:
        let_live.set()
        thread.join()


def wait_until(moment_ms: int) -> None:
    """Let time pass: an absence is long only by the clock."""
    wait_for("a while has passed", lambda: now_ms() >= moment_ms, 120)


def test_gateways_and_broker_away_for_a_minute_each_lose_and_double_nothing(bad_day):
    """The gateways go first, the broker 15 s later: for 45 s nobody is there at all."""
    sent, alone = bad_day.control("t-0001"), bad_day.control("t-0002")
    with Wire(bad_day) as wire, Screen(bad_day) as screen:
        before = accounts(bad_day.home)
        with ExitStack() as broker_away:
            with kept_away(bad_day, "gateway-1", "gateway-2"):
                began_ms = now_ms()
                sent.push("sos", hold_s=1.5)
                sent.wait(lambda shown: "SOS SENT" in shown["screen"], 30)
                wait_until(began_ms + 15_000)
                broker_away.enter_context(kept_away(bad_day, "broker"))
                alone.push("sos", hold_s=1.5)
                alone.wait(lambda shown: "SOS OPEN" in shown["screen"], 30)
                wait_until(began_ms + AWAY_MS)
            # The gateways live again, and have nobody to talk to.
            wait_until(began_ms + 15_000 + AWAY_MS)
            assert all_seal(bad_day, before)  # They walked on all the while,
            for control in (sent, alone):
                assert not any("STORED" in line for line in control.show()["screen"])
            assert screen.shown() == {}  # and nothing was claimed that did not happen.
        for control in (sent, alone):
            control.wait(lambda shown: "SOS STORED" in shown["screen"], 90)
        pressed = {"t-0001": 1, "t-0002": 1}
        wait_for("each SOS is on the screen", lambda: screen.shown() == pressed, 30)
        wait_for("everybody is back", lambda: bad_day.online() == TERMINALS + SENSORS, 90)
        with console.opened(bad_day) as page:
            assert console.cases_shown(page) == pressed
            late = page.locator("[data-test=case] [data-test=late]").count()
            assert late == sum(row["late"] for row in bad_day.cases())
        everybody_is_heard(bad_day)
        come_to_rest(bad_day)
        assert_nothing_lost_or_doubled(bad_day.home, wire)
        rung = {key: times for key, times in screen.rung.items() if key[0] in pressed}
        assert set(rung.values()) <= {1}
    assert len(bad_day.items("/cases?kind=sos")) == len(pressed)


def test_a_full_disk_is_told_to_nobody_as_stored_and_loses_nothing(bad_day):
    wearer = bad_day.control("t-0004")
    with Wire(bad_day) as wire, Screen(bad_day) as screen:
        with full_disk(bad_day, *KILLED):
            before = accounts(bad_day.home)
            wearer.push("sos", hold_s=1.5)
            wearer.wait(lambda shown: "SOS SENT" in shown["screen"], 30)
            wait_for("the fleet goes on", lambda: all_seal(bad_day, before), 90)
            assert not any("STORED" in line for line in wearer.show()["screen"])
            assert screen.shown() == {}
            after = accounts(bad_day.home)
            stored = {name: len(one.stored) for name, one in after.items() if name in before}
            assert stored == {name: len(one.stored) for name, one in before.items()}
        wearer.wait(lambda shown: "SOS STORED" in shown["screen"], 60)
        wait_for("the SOS is on the screen", lambda: screen.shown() == {"t-0004": 1}, 30)
        come_to_rest(bad_day)
        assert_nothing_lost_or_doubled(bad_day.home, wire)


@contextmanager
def full_disk(installation: Installation, *parts: str):
    """No file of these parts takes another byte. Needs no privilege and no mount."""
    pids = [installation.pid(part) for part in parts]
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, 0)  # A full disk has ended none of them.
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


def all_seal(installation: Installation, before: dict[str, Account]) -> bool:
    """Every terminal has made a record since, and all together a good many."""
    found = accounts(installation.home)
    made = [
        len(found[name].sealed) - len(one.sealed)
        for name, one in before.items()
        if name.startswith("t-")
    ]
    # Who stands still makes a fix a minute.
    return min(made) > 0 and sum(made) >= RECORDS_MIN
