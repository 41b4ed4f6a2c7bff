import csv
import io
import xml.etree.ElementTree as ET

import pytest

from fleet_api.kit.period import PERIOD_MS_MAX
from tests.fleet_api.district import now_ms
from tests.fleet_api.telemetry import Walk, fix

MINUTE = 60_000
GPX = "{http://www.topografix.com/GPX/1/1}"


@pytest.fixture
def began(store) -> int:
    """A walk with a pause that nobody knows anything about, and a single fix after another."""
    began = now_ms() // 1000 * 1000 - 60 * MINUTE
    walk = Walk(store, "t-east-1")
    walk.batch(fix(began), fix(began + 5_000, 25_040_180, 102_710_512, accuracy_m=None))
    walk.batch(fix(began + 12 * MINUTE, -25_000_001, -102_000_001), fix(began + 13 * MINUTE))
    walk.batch(fix(began + 40 * MINUTE, speed_cms=None, course_deg=None))
    Walk(store, "t-east-2").batch(fix(began))
    return began


def ask(browser, began: int, form: str = "geojson", device: str = "t-east-1"):
    period = f"from_ms={began}&to_ms={began + 50 * MINUTE}"
    return browser.get(f"/devices/{device}/track?{period}&format={form}")


def test_geojson_never_draws_a_line_where_nobody_knows(began, as_user):
    answer = ask(as_user("operator"), began)
    assert answer.headers["content-type"] == "application/geo+json"
    track = answer.json()
    assert (track["device"], track["count"]) == ("t-east-1", 5)
    first, second, single = track["features"]
    assert first["geometry"] == {
        "type": "LineString",
        "coordinates": [[102.710456, 25.040123], [102.710512, 25.04018]],
    }
    assert first["properties"]["times_ms"] == [began, began + 5_000]
    assert first["properties"]["accuracies_m"] == [5, None]
    assert first["properties"]["clocks"] == ["gnss", "gnss"]
    assert second["geometry"]["coordinates"][0] == [-102.000001, -25.000001]
    assert single["geometry"] == {"type": "Point", "coordinates": [102.710456, 25.040123]}
    assert single["properties"]["speeds_cms"] == [None]


def test_an_empty_period_is_an_empty_collection(began, as_user):
    answer = ask(as_user("operator"), began - 24 * 60 * MINUTE)
    assert answer.json()["features"] == []
    assert answer.json()["count"] == 0


def test_gpx_has_every_fix_exactly(began, as_user):
    answer = ask(as_user("operator"), began, "gpx")
    assert answer.headers["content-type"] == "application/gpx+xml"
    assert "attachment" in answer.headers["content-disposition"]
    root = ET.fromstring(answer.content)
    segments = root.findall(f"{GPX}trk/{GPX}trkseg")
    assert [len(segment) for segment in segments] == [2, 2, 1]
    point = segments[1][0]
    assert (point.get("lat"), point.get("lon")) == ("-25.000001", "-102.000001")
    assert root.find(f"{GPX}trk/{GPX}name").text == "t-east-1"
    assert point.find(f"{GPX}time").text.endswith("Z")


def test_csv_has_every_fix_exactly(began, as_user):
    answer = ask(as_user("operator"), began, "csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["at_ms"]) for row in rows][:2] == [began, began + 5_000]
    assert rows[2]["lat"] == "-25.000001"
    assert rows[1]["accuracy_m"] == ""
    assert {row["device"] for row in rows} == {"t-east-1"}


@pytest.mark.parametrize("form", ["geojson", "gpx", "csv"])
def test_every_look_is_in_the_audit_log(began, as_user, audited, form):
    ask(as_user("east"), began, form)
    [row] = audited("track.read")
    assert (row.user_name, row.device) == ("east", "t-east-1")
    assert row.details == {"from_ms": began, "to_ms": began + 50 * MINUTE, "format": form}


def test_without_the_audit_row_there_is_no_track(began, as_user, registry):
    with registry.begin() as session:
        connection = session.connection()
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    answer = ask(as_user("operator"), began)
    assert answer.status_code == 500
    assert "features" not in answer.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "from_ms"),
        ("from_ms=1", "to_ms"),
        ("from_ms=-1&to_ms=5", "from_ms"),
        ("from_ms=5&to_ms=5", "to_ms"),
        ("from_ms=6&to_ms=5", "to_ms"),
        ("from_ms=x&to_ms=5", "from_ms"),
        (f"from_ms=0&to_ms={PERIOD_MS_MAX + 1}", "to_ms"),
        (f"from_ms=0&to_ms={2**53}", "to_ms"),
        ("from_ms=1&to_ms=5&format=kml", "format"),
    ],
)
def test_a_wrong_period_is_named_and_no_look(as_user, audited, query, field):
    answer = as_user("operator").get(f"/devices/t-east-1/track?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"field": field}
    assert audited("track.read") == []


def test_the_longest_period_is_allowed(as_user):
    answer = as_user("operator").get(
        f"/devices/t-east-1/track?from_ms=1&to_ms={PERIOD_MS_MAX + 1}"
    )
    assert answer.status_code == 200


def test_a_viewer_sees_no_tracks(began, as_user, audited):
    assert ask(as_user("viewer"), began).status_code == 403
    assert audited("track.read") == []


def test_a_store_that_is_away_is_said(began, as_user, home, audited, store):
    store.close()
    for path in home.glob("telemetry.sqlite*"):
        path.unlink()
    (home / "telemetry.sqlite").mkdir()
    answer = ask(as_user("operator"), began)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "store_away"
    # The wish to look is known all the same.
    assert len(audited("track.read")) == 1
