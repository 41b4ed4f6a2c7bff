"""What gateways refused: listed for administrators, an SOS shown to everybody until it is seen."""

import pytest

from tests.fleet_api.live.watching import viewing


def test_administrators_read_what_was_refused_and_why_newest_first(district, as_user):
    district.refuse(kind=None)
    district.refuse("t-west-1", code="unknown_device", reason="no such device, or it is retired")
    listed = as_user("admin").get("/quarantine").json()["items"]
    assert [(row["device"], row["kind"], row["code"]) for row in listed] == [
        ("t-west-1", "sos", "unknown_device"),
        ("t-east-1", None, "bad_frame"),
    ]
    newest = listed[0]
    assert (newest["stream"], newest["wearer"]) == ("event", "Chen Jie")
    assert newest["reason"] == "no such device, or it is retired"
    assert newest["received_ms"] > 0
    narrow = as_user("admin").get("/quarantine?device=t-east-1").json()["items"]
    assert [row["device"] for row in narrow] == ["t-east-1"]


def test_a_reason_does_not_say_where_somebody_was(district, as_user):
    district.refuse(reason="lat is 95040123 at '102.710456', not -90000000..90000000")
    [row] = as_user("admin").get("/quarantine").json()["items"]
    assert row["reason"] == "lat is … at '102.…', not -…..…"


def test_pages_hold_every_row_once(district, as_user):
    for _ in range(5):
        district.refuse()
    seen, after = [], ""
    for _ in range(3):
        page = as_user("admin").get(f"/quarantine?limit=2{after}").json()
        seen += [row["id"] for row in page["items"]]
        after = f"&after={page['next']}"
    assert page["next"] is None
    assert len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("name", ["operator", "viewer", "east"])
def test_only_administrators_list_it(as_user, name):
    assert as_user(name).get("/quarantine").status_code == 403


def test_an_area_hides_the_others_and_strangers(district, as_user):
    for device in ("t-east-1", "t-west-1", "t-stranger"):
        district.refuse(device)
    head = as_user("east.head").get("/quarantine").json()["items"]
    assert [row["device"] for row in head] == ["t-east-1"]
    everything = as_user("admin").get("/quarantine").json()["items"]
    assert len(everything) == 3
    west = next(row["id"] for row in everything if row["device"] == "t-west-1")
    assert as_user("east").post(f"/quarantine/{west}/acknowledge").status_code == 404


def test_a_refused_sos_is_acknowledged_once_with_those_before_it(district, as_user, audited):
    for kind in ("sos", None, "sos", "sos"):
        district.refuse(kind=kind)
    rows = as_user("admin").get("/quarantine").json()["items"]
    operator = as_user("operator")
    seen = operator.post(f"/quarantine/{rows[1]['id']}/acknowledge").json()
    assert seen["acknowledged_by"] == "operator"
    operator.post(f"/quarantine/{rows[1]['id']}/acknowledge")
    after = as_user("admin").get("/quarantine").json()["items"]
    assert [row["acknowledged_by"] for row in after] == [None, "operator", None, "operator"]
    [row] = audited("quarantine.acknowledge")
    assert (row.device, row.details) == ("t-east-1", {"quarantine": rows[1]["id"], "rows": 2})
    assert operator.post(f"/quarantine/{rows[2]['id']}/acknowledge").status_code == 404
    assert as_user("viewer").post(f"/quarantine/{rows[0]['id']}/acknowledge").status_code == 403


def test_a_refused_sos_shows_on_the_live_view_until_it_is_acknowledged(server, district):
    with viewing(server, district) as view, viewing(server, district, "west") as elsewhere:
        assert view.snapshot()["refused"] == []
        elsewhere.snapshot()
        district.refuse(kind=None)
        district.refuse()
        shown = view.wait_for("refused")
        assert (shown["device"], shown["code"]) == ("t-east-1", "bad_frame")
        with viewing(server, district, "viewer") as late:
            assert [row["id"] for row in late.snapshot()["refused"]] == [shown["id"]]
        server.as_user("east").post(f"/quarantine/{shown['id']}/acknowledge")
        assert view.wait_for("refused", acknowledged_by="east")["id"] == shown["id"]
        district.refuse("t-west-1")
        assert elsewhere.wait_for("refused")["device"] == "t-west-1"
    with viewing(server, district, "east") as view:
        assert view.snapshot()["refused"] == []
