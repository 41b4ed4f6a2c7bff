"""The map: who is a person and who a sensor node, in both languages."""

import base64

import pytest
from playwright.sync_api import expect

from tests.fleet_api.console.browser import PIXELS, Console
from tests.fleet_api.district import now_ms
from tests.fleet_api.server import wait_until
from tests.fleet_api.telemetry import Walk, fix


def blobs(pixels: list[list[int]]) -> list[set[tuple[int, int]]]:
    """The connected areas of these pixels, the largest first."""
    left = {(x, y) for x, y in pixels}
    found = []
    while left:
        edge, blob = [left.pop()], set()
        while edge:
            x, y = edge.pop()
            blob.add((x, y))
            near = {(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)} & left
            left -= near
            edge += near
        found.append(blob)
    return sorted(found, key=len, reverse=True)


def filling(blob: set[tuple[int, int]]) -> float:
    """How much of its box an area fills: a circle pi / 4, a diamond a half."""
    across = [max(axis) - min(axis) + 1 for axis in zip(*blob, strict=True)]
    return len(blob) / (across[0] * across[1])


def markers(console) -> list[set[tuple[int, int]]]:
    png = base64.b64encode(console.get("map").screenshot()).decode()
    return [blob for blob in blobs(console.page.evaluate(PIXELS, png)) if len(blob) > 40]


@pytest.fixture
def seen(console, district, store):
    """The map with one of each kind, the terminal above: they are found by their colour."""
    # Both sensor nodes stand in the middle of the villages, which is one place in this district.
    for device in ("s-west-1", "s-east-1", "t-east-1"):
        district.state(device)
    Walk(store, "t-east-1").batch(fix(now_ms(), lat_e6=25_045_000))
    console.sign_in_and_see()
    console.get("legend").locator("summary").click()
    wait_until(lambda: len(markers(console)) == 2)
    return sorted(markers(console), key=lambda blob: min(y for _, y in blob))


def test_a_sensor_is_a_diamond_and_a_terminal_a_circle(seen):
    terminal, sensor = seen
    assert filling(terminal) == pytest.approx(0.785, abs=0.08)
    assert filling(sensor) == pytest.approx(0.5, abs=0.08)


def test_a_click_on_either_marker_shows_its_device(console, seen):
    for blob, kind in zip(seen, "ts", strict=True):
        # The map is as wide again as it was before a panel stood beside it.
        wait_until(lambda blob=blob: any(blob & found for found in markers(console)))
        x, y = (sum(axis) / len(blob) for axis in zip(*blob, strict=True))
        console.get("map").click(position={"x": x, "y": y})
        panel = console.page.locator(f"[data-test=device-panel][data-device^={kind}-]")
        expect(panel).to_be_visible()
        console.page.get_by_role("button", name="Close").click()


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en-GB", ["Terminal (a person)", "Sensor node", "Hollow: offline or stale"]),
        ("zh-CN", ["终端（人员）", "传感器", "空心：离线或久未更新"]),
    ],
)
def test_the_legend_names_every_shape(browser, server, locale, words):
    console = Console.open(browser, server, locale=locale)
    console.sign_in_and_see()
    for word in words:
        expect(console.get("legend")).to_contain_text(word)
    console.close()
