"""Terminals that are carried along real recordings report exactly where those lead."""

import datetime
import itertools
import json
import re
from pathlib import Path

import pytest

from provisioning.paths import read_gpx
from tests.system.accounts import accounts
from tests.system.installation import PROJECT, started, wait_for

BESIDE = PROJECT.parent / "shared" / "tracks"
RECORDINGS = {
    "t-0001": BESIDE / "cerknicko-jezero.gpx",
    "t-0002": BESIDE / "around-visnjan-with-car.gpx",
}
FIXES = 12
_POINT = re.compile(r'<trkpt lat="([-\d.]+)" lon="([-\d.]+)">.*?<time>([^<]+)</time>', re.DOTALL)


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    missing = [str(path) for path in RECORDINGS.values() if not path.exists()]
    if missing:
        pytest.skip(f"no recording was walked: there is no {', '.join(missing)}")
    options = ["--terminals", str(len(RECORDINGS)), "--sensors", "0", "--witness"]
    with started(tmp_path_factory.mktemp("home"), *options) as running:
        wait_for("all are online", lambda: running.online() == len(RECORDINGS))
        for device, path in RECORDINGS.items():
            folder = running.home / "devices" / device
            (folder / "path.txt").write_text(read_gpx(path).text())
            before_ms = running.control(device).show()["uptime_ms"]
            running.control(device).reset()
            running.control(device).wait(
                lambda shown, ms=before_ms: shown["screen"] and shown["uptime_ms"] < ms
            )
        yield running


def recorded(path: Path) -> list[tuple[int, int, int]]:
    """(seconds since the first, lat_e6, lon_e6) of each point, read without our reader."""
    rows = []
    for lat, lon, time in _POINT.findall(path.read_text()):
        at = datetime.datetime.fromisoformat(time)
        rows.append((at, round(float(lat) * 1e6), round(float(lon) * 1e6)))
    return [(round((at - rows[0][0]).total_seconds()), *place) for at, *place in rows]


def place_at(points: list[tuple[int, int, int]], unix_s: int) -> tuple[float, float]:
    """Where somebody is who goes there as recorded and the same way back, again and again."""
    long_s = points[-1][0]
    along_s = unix_s % (2 * long_s)
    along_s = min(along_s, 2 * long_s - along_s)
    for (from_s, *start), (to_s, *end) in itertools.pairwise(points):
        if along_s <= to_s:
            share = (along_s - from_s) / (to_s - from_s)
            lat, lon = (a + (b - a) * share for a, b in zip(start, end, strict=True))
            return lat, lon
    raise AssertionError(along_s)


@pytest.mark.parametrize("device", RECORDINGS)
def test_a_recording_is_walked_and_reported_to_the_last_digit(installation, device):
    points = recorded(RECORDINGS[device])
    assert len(points) > 100
    # A fix each second, sent at once.
    installation.control(device).push("sos", hold_s=1.5)
    since = max((at_s for at_s, *_ in accounts(installation.home)[device].fed))

    def there():
        fixes = [fix for fix in accounts(installation.home)[device].fixes if fix[0] > since]
        return fixes if len(fixes) >= FIXES else None

    for at_s, lat_e6, lon_e6 in wait_for(f"{FIXES} fixes of {device}", there):
        lat, lon = place_at(points, at_s)
        # Between two points the receiver says whole 1e-6 degrees, rounded down.
        assert abs(lat_e6 - lat) <= 1, (device, at_s)
        assert abs(lon_e6 - lon) <= 1, (device, at_s)
    # The command room is shown the same.
    shown = installation.call("GET", f"/devices/{device}")["position"]
    fed = {(at_s, *place) for at_s, *place in accounts(installation.home)[device].fed}
    assert (shown["at_ms"] // 1000, shown["lat_e6"], shown["lon_e6"]) in fed
    rig = json.loads((installation.home / "devices" / device / "rig.json").read_text())
    assert rig["receiver"]["kind"] == "path"
