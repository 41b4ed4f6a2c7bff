"""Gateways that die at the worst moments, under load: every record is stored exactly once."""

import random

import pytest

from gateway.adapters.crash_points import PATHS, POINTS
from gateway.errors import GatewayError
from gateway.settings import from_environment
from tests.gateway import stores
from tests.gateway.installation import GatewayProcess, Installation, wait_for
from tests.gateway.load import Fleet
from tests.gateway.telemetry_stores import SqliteStore, TelemetryStore

KILLS = 20
NAMED = [f"{path}.{point}" for path in PATHS for point in POINTS]


def test_kills_at_every_point_lose_and_double_nothing(
    installation: Installation, telemetry: TelemetryStore
) -> None:
    """Two gateways side by side; each life ends at a named point or at any moment."""
    dice = random.Random(20)
    # Over InfluxDB each named point once: what differs is the store alone.
    total = KILLS if isinstance(telemetry, SqliteStore) else len(NAMED)
    ends = NAMED + [""] * (total - len(NAMED))
    dice.shuffle(ends)
    hit: set[str] = set()
    with Fleet(installation) as fleet:
        lives: dict[str, tuple[GatewayProcess, str]] = {}
        kills = 0
        for instance in ("1", "2"):
            lives[instance] = _begin(installation, instance, ends.pop(), dice)
        while kills < total:
            instance, (gateway, end) = _next_dead(lives)
            assert gateway.process.returncode == -9, gateway.log.read_text()
            kills += 1
            if end:
                hit.add(end)
            if kills == 5:
                for number, device in enumerate(fleet.devices[:3]):
                    device.press_sos(trigger=("button", "silent", "man_down")[number])
            if ends:
                lives[instance] = _begin(installation, instance, ends.pop(), dice)
            elif lives:
                del lives[instance]
        installation.start_gateway("1").wait_until_connected()
        fleet.be_quiet()
        fleet.wait_until_empty()
    assert hit == set(NAMED)
    telemetry.assert_stored_exactly_once(fleet.devices)
    cases = stores.cases(installation)
    assert sorted(case.device for case in cases) == [d.device for d in fleet.devices[:3]]
    assert {(case.kind, case.presses) for case in cases} == {("sos", 1)}
    for (name, epoch, stream), (upto, above) in stores.cursors(installation).items():
        made = [s.last for d in fleet.devices if (d.device, d.epoch) == (name, epoch)
                for s in d.made if s.stream == stream]  # fmt: skip
        assert (upto, above) == (max(made), [])


def _begin(
    installation: Installation, instance: str, end: str, dice: random.Random
) -> tuple[GatewayProcess, str]:
    if end:
        stop_at = {"XUNHU_GATEWAY_STOP_AT": f"{end}:{dice.randint(1, 4)}"}
        return installation.start_gateway(instance, **stop_at), end
    gateway = installation.start_gateway(instance)
    gateway.wait_until_connected()
    work = gateway.metric("xunhu_gateway_messages_total")
    goal = work + dice.randint(1, 40)
    wait_for(lambda: gateway.metric("xunhu_gateway_messages_total") >= goal, 30, "some work")
    gateway.process.kill()
    return gateway, end


def _next_dead(
    lives: dict[str, tuple[GatewayProcess, str]],
) -> tuple[str, tuple[GatewayProcess, str]]:
    def dead() -> list[str]:
        return [name for name, (gateway, _) in lives.items() if gateway.process.poll() is not None]

    name = wait_for(dead, 60, "a gateway dies at its point")[0]  # type: ignore[index]
    return name, lives[name]


@pytest.mark.parametrize("named", ["here", "urgent.here", "else.committed", "committed:x", "."])
def test_point_that_does_not_exist_is_refused(named: str) -> None:
    settings = from_environment({"XUNHU_GATEWAY_STOP_AT": named})
    from gateway.adapters.crash_points import CrashPoints

    with pytest.raises(GatewayError, match="urgent"):
        CrashPoints(settings.stop_at)
