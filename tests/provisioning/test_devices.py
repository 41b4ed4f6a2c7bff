"""Devices in a real registry: one bad line harms no other, an id is used once for ever."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from provisioning.authority import Authority, certificate_serial
from provisioning.devices import (
    CSV_BYTES_MAX,
    NewDevice,
    RefusedLine,
    add_device,
    ensure_device,
    import_devices,
    issue_identity,
    list_devices,
    retire_device,
)
from provisioning.errors import DeviceRefusedError
from storage.registry.models import Area, Audit
from storage.registry.session import Registry, migrate, open_registry

NOW_MS = 1_790_000_000_000
VILLAGE = "990101101201"


@pytest.fixture(name="registry")
def fixture_registry(tmp_path: Path) -> Iterator[Registry]:
    url = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    migrate(url)
    registry = open_registry(url)
    with registry.begin() as session:
        session.add(Area(code=VILLAGE, name_zh="青坪村", name_en="Qingping", level="village"))
    yield registry
    registry.close()


def _ids(registry: Registry, **options: bool) -> list[str]:
    return [row["id"] for row in list_devices(registry, **options)]


def _add(registry: Registry, *arguments: str) -> dict:
    return add_device(registry, NewDevice(*arguments), by="admin", now_ms=NOW_MS)


def _import(registry: Registry, content: bytes):
    return import_devices(registry, content, by="admin", now_ms=NOW_MS)


def test_a_device_is_added_with_its_kind(registry: Registry):
    row = _add(registry, "s-0001", "水位计", VILLAGE)
    assert (row["kind"], row["name"], row["area_code"]) == ("sensor_node", "水位计", VILLAGE)
    assert _add(registry, "t-0001")["name"] == "t-0001"
    assert list_devices(registry)[1]["kind"] == "terminal"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("x-0001",), "device id"),
        (("T-0001",), "device id"),
        (("t-" + "0" * 31,), "device id"),
        (("t-0001", "n" * 81), "80 characters"),
        (("t-0001", "two\nlines"), "no name"),
        (("t-0001", "", "12345"), "12 digits"),
        (("t-0001", "", "１２３４５６７８９０１２"), "12 digits"),
        (("t-0001", "", "990101101299"), "area tree"),
    ],
)
def test_a_wrong_device_is_refused(registry: Registry, arguments: tuple, says: str):
    with pytest.raises(DeviceRefusedError, match=says):
        _add(registry, *arguments)
    assert _ids(registry) == []


def test_an_id_is_used_once(registry: Registry):
    _add(registry, "t-0001")
    with pytest.raises(DeviceRefusedError, match="exists already"):
        _add(registry, "t-0001")


def test_a_retired_id_is_never_used_again(registry: Registry, authority: Authority):
    _add(registry, "t-0001")
    assert retire_device(registry, "t-0001", by="admin", now_ms=NOW_MS)["retired_ms"] == NOW_MS
    assert (_ids(registry), _ids(registry, retired=True)) == ([], ["t-0001"])
    device = NewDevice("t-0001")
    with pytest.raises(DeviceRefusedError, match="take a new id"):
        add_device(registry, device, by="admin", now_ms=NOW_MS)
    with pytest.raises(DeviceRefusedError, match="take a new id"):
        ensure_device(registry, device, by="admin", now_ms=NOW_MS)
    with pytest.raises(DeviceRefusedError, match="retired before"):
        retire_device(registry, "t-0001", by="admin", now_ms=NOW_MS)
    with pytest.raises(DeviceRefusedError, match="retired before"):
        issue_identity(registry, authority, "t-0001", by="admin", now_ms=NOW_MS)


def test_an_unknown_device_gets_no_certificate(registry: Registry, authority: Authority):
    with pytest.raises(DeviceRefusedError, match="no device"):
        issue_identity(registry, authority, "t-0001", by="admin", now_ms=NOW_MS)
    assert not (authority.folder / "issued.jsonl").exists()


def test_a_certificate_is_kept_by_its_serial(registry: Registry, authority: Authority):
    ensure_device(registry, NewDevice("t-0001", "one"), by="admin", now_ms=NOW_MS)
    # A second time changes nothing: an image is composed again for the same device.
    assert ensure_device(registry, NewDevice("t-0001"), by="admin", now_ms=1)["name"] == "one"
    identity = issue_identity(registry, authority, "t-0001", by="admin", now_ms=NOW_MS)
    row = list_devices(registry)[0]
    assert row["certificate_serial"] == certificate_serial(identity.certificate_der)
    with registry.read() as session:
        actions = list(session.scalars(select(Audit.action).order_by(Audit.id)))
    assert actions == ["device_add", "device_issue"]


def test_bad_lines_are_named_and_good_ones_go_on(registry: Registry):
    _add(registry, "t-0009")
    lines = [
        "id,name,area_code,wearer",
        f"t-0001,一号,{VILLAGE},王五",
        "t 0002,,,",
        "",
        f"s-0001,烟感,{VILLAGE},",
        "t-0001,again,,",
        "t-0009,,,",
        "t-0003,,110101001001,",
        "t-0004,,,,surplus",
        "t-0005",
    ]
    report = _import(registry, "\r\n".join(lines).encode())
    assert report.added == ("t-0001", "s-0001", "t-0005")
    assert [line.line for line in report.refused] == [3, 6, 7, 8, 9]
    assert report.refused[1] == RefusedLine(6, "t-0001 exists already")
    assert "not in the area tree" in report.refused[3].reason
    assert "more fields" in report.refused[4].reason
    assert _ids(registry) == ["s-0001", "t-0001", "t-0005", "t-0009"]
    assert list_devices(registry)[1]["wearer"] == "王五"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_spreadsheets_of_either_kind_are_read(registry: Registry, encoding: str):
    report = _import(registry, 'ID , Name\nt-0001,"李, 四"\n'.encode(encoding))
    assert report.added == ("t-0001",)
    assert list_devices(registry)[0]["name"] == "李, 四"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"name\nt-0001\n", "names id"),
        (b"id,colour\nt-0001,red\n", "names id"),
        (b"id,id\nt-0001,t-0002\n", "each once"),
        (b'id\n"t-0001\n', "no CSV"),
        (b"id\n\x81\xff\xff", "neither"),
        (b"x" * (CSV_BYTES_MAX + 1), "at most"),
    ],
)
def test_what_is_no_list_of_devices_is_refused_whole(
    registry: Registry, content: bytes, says: str
):
    with pytest.raises(DeviceRefusedError, match=says):
        _import(registry, content)
    assert _ids(registry) == []
