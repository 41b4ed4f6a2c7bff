"""The devices of an installation: added one by one or from a CSV, listed, retired.

A row says that a device may speak; its certificate comes when its flash image is composed
(`issue_identity`), so that no private key ever waits on the server. A retired device keeps its row
for ever: its id is never given to another one, and its records stay its own.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from provisioning.authority import DeviceIdentity, Issuer, certificate_serial
from provisioning.errors import DeviceRefusedError
from storage.registry.models import Area, Audit, Device
from storage.registry.session import Registry
from wire_protocol.errors import WireError
from wire_protocol.topics import check_device_id

NAME_CHARACTERS_MAX = 80
AREA_CODE_DIGITS = 12
CSV_LINES_MAX = 100_000  # Ten districts of 1,436 in seven years of replacements.
CSV_BYTES_MAX = 32 * 1024 * 1024
COLUMNS = ("id", "name", "area_code", "wearer")
KINDS = {"t-": "terminal", "s-": "sensor_node"}


@dataclass(frozen=True)
class NewDevice:
    """What is known of a device when it is added; checked when it is made.

    Attributes:
        device_id: `t-...` is a terminal, `s-...` a sensor node.
        name: What people call it; the id if it is empty.
        area_code: 12-digit administrative code of its village, or None.
        wearer: Who wears it, or None.
    """

    device_id: str
    name: str = ""
    area_code: str | None = None
    wearer: str | None = None

    def __post_init__(self) -> None:
        try:
            check_device_id(self.device_id)
        except WireError as error:
            raise DeviceRefusedError(str(error)) from error
        for text in (self.name, self.wearer or ""):
            if len(text) > NAME_CHARACTERS_MAX or not text.isprintable():
                raise DeviceRefusedError(
                    f"{text[:20]!r}... is no name: at most {NAME_CHARACTERS_MAX} characters"
                )
        code = self.area_code
        if code is not None and not (
            len(code) == AREA_CODE_DIGITS and code.isascii() and code.isdigit()
        ):
            raise DeviceRefusedError(f"area code {code[:20]!r} has not {AREA_CODE_DIGITS} digits")

    @property
    def kind(self) -> str:
        """The kind of device, which its id tells."""
        return KINDS[self.device_id[:2]]


@dataclass(frozen=True)
class RefusedLine:
    """A line of a CSV that was left out, counted from 1, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """What became of a CSV."""

    added: tuple[str, ...]
    refused: tuple[RefusedLine, ...]


def add_device(registry: Registry, device: NewDevice, *, by: str, now_ms: int) -> dict[str, Any]:
    """Add one device and return its row.

    Args:
        registry: Where devices are kept.
        device: The new one.
        by: Who adds it, for the audit log.
        now_ms: Unix ms.

    Raises:
        DeviceRefusedError: Its id is or was in use, or its area is not in the tree.
    """
    with registry.begin() as session:
        _check_free(device, _taken(session), _areas(session))
        return _insert(session, device, by, now_ms).as_dict()


def ensure_device(
    registry: Registry, device: NewDevice, *, by: str, now_ms: int
) -> dict[str, Any]:
    """Return the row of a device, adding it if there is none.

    Raises:
        DeviceRefusedError: It was retired, or its area is not in the tree.
    """
    with registry.begin() as session:
        row = session.get(Device, device.device_id)
        if row is None:
            _check_free(device, {}, _areas(session))
            row = _insert(session, device, by, now_ms)
        elif row.retired_ms is not None:
            raise DeviceRefusedError(f"{device.device_id} was retired; take a new id")
        return row.as_dict()


def import_devices(registry: Registry, content: bytes, *, by: str, now_ms: int) -> ImportReport:
    """Add every good line of a CSV; a bad one is reported and the others go on.

    Args:
        registry: Where devices are kept.
        content: The file: a header with the columns of COLUMNS (only `id` is needed), UTF-8 or,
            as Chinese spreadsheets write it, GB 18030.
        by: Who adds them, for the audit log.
        now_ms: Unix ms.

    Raises:
        DeviceRefusedError: It is no such file at all; nothing was added.
    """
    rows = _read_csv(content)
    added: list[str] = []
    refused: list[RefusedLine] = []
    with registry.begin() as session:
        taken, areas = _taken(session), _areas(session)
        for line, fields in rows:
            try:
                device = _device_of(fields)
                _check_free(device, taken, areas)
            except DeviceRefusedError as error:
                refused.append(RefusedLine(line, str(error)))
                continue
            _insert(session, device, by, now_ms)
            taken[device.device_id] = None
            added.append(device.device_id)
    return ImportReport(tuple(added), tuple(refused))


def issue_identity(
    registry: Registry, issuer: Issuer, device_id: str, *, by: str, now_ms: int
) -> DeviceIdentity:
    """Issue a certificate for a device and keep its serial.

    Raises:
        DeviceRefusedError: There is no such device, or it was retired.
    """
    with registry.begin() as session:
        row = _living(session, device_id)
        identity = issuer.issue_device(device_id)
        row.certificate_serial = certificate_serial(identity.certificate_der)
        details = {"serial": row.certificate_serial}
        session.add(_audit("device_issue", device_id, by, now_ms, details))
    return identity


def list_devices(registry: Registry, *, retired: bool = False) -> list[dict[str, Any]]:
    """Return the rows of all devices by id, retired ones only if asked for."""
    asked = select(Device).order_by(Device.id)
    if not retired:
        asked = asked.where(Device.retired_ms.is_(None))
    with registry.read() as session:
        return [row.as_dict() for row in session.scalars(asked)]


def retire_device(registry: Registry, device_id: str, *, by: str, now_ms: int) -> dict[str, Any]:
    """Retire a device for good: what it sends from now on is quarantined.

    Raises:
        DeviceRefusedError: There is no such device, or it was retired before.
    """
    with registry.begin() as session:
        row = _living(session, device_id)
        row.retired_ms = now_ms
        session.add(_audit("device_retire", device_id, by, now_ms, {}))
        return row.as_dict()


def _living(session: Session, device_id: str) -> Device:
    row = session.get(Device, device_id)
    if row is None:
        raise DeviceRefusedError(f"there is no device {device_id[:40]!r}")
    if row.retired_ms is not None:
        raise DeviceRefusedError(f"{device_id} was retired before")
    return row


def _taken(session: Session) -> dict[str, int | None]:
    """Every id ever used, with the time it was retired."""
    return {row[0]: row[1] for row in session.execute(select(Device.id, Device.retired_ms))}


def _areas(session: Session) -> set[str]:
    return set(session.scalars(select(Area.code)))


def _check_free(device: NewDevice, taken: dict[str, int | None], areas: set[str]) -> None:
    if device.device_id in taken:
        was = "exists already" if taken[device.device_id] is None else "was retired; take a new id"
        raise DeviceRefusedError(f"{device.device_id} {was}")
    if device.area_code is not None and device.area_code not in areas:
        raise DeviceRefusedError(f"area {device.area_code} is not in the area tree")


def _insert(session: Session, device: NewDevice, by: str, now_ms: int) -> Device:
    row = Device(
        id=device.device_id,
        kind=device.kind,
        name=device.name or device.device_id,
        area_code=device.area_code,
        wearer=device.wearer,
        created_ms=now_ms,
    )
    session.add(row)
    session.add(_audit("device_add", device.device_id, by, now_ms, {"name": row.name}))
    session.flush()
    return row


def _audit(action: str, device_id: str, by: str, now_ms: int, details: dict[str, Any]) -> Audit:
    return Audit(at_ms=now_ms, user_name=by, action=action, device=device_id, details=details)


def _read_csv(content: bytes) -> Sequence[tuple[int, dict[str, str]]]:
    """Return (line, {column: text}) of every line that is not empty."""
    if len(content) > CSV_BYTES_MAX:
        raise DeviceRefusedError(f"{len(content)} bytes of CSV, at most {CSV_BYTES_MAX}")
    try:
        rows = list(_csv_lines(io.StringIO(_decode(content), newline="")))
    except csv.Error as error:
        raise DeviceRefusedError(f"this is no CSV: {error}") from error
    if not rows:
        raise DeviceRefusedError("the CSV is empty")
    header = [name.strip().lower() for name in rows[0][1]]
    unknown = [name for name in header if name not in COLUMNS]
    if unknown or "id" not in header or len(set(header)) != len(header):
        raise DeviceRefusedError(
            f"the first line is {', '.join(header)[:80]!r}; it names id and any of "
            f"{', '.join(COLUMNS[1:])}, each once"
        )
    if len(rows) - 1 > CSV_LINES_MAX:
        raise DeviceRefusedError(f"{len(rows) - 1} lines, at most {CSV_LINES_MAX}")
    return [(line, _named(header, row)) for line, row in rows[1:]]


def _csv_lines(file: io.StringIO) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(file, strict=True)
    for row in reader:
        if any(text.strip() for text in row):
            yield reader.line_num, row


def _named(header: list[str], row: list[str]) -> dict[str, str]:
    """Put names to the fields of a line; what has no column is kept under an empty name."""
    named = {name: text.strip() for name, text in zip(header, row, strict=False)}
    if len(row) > len(header):
        named[""] = ",".join(row[len(header) :])
    return named


def _decode(content: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DeviceRefusedError("the CSV is neither UTF-8 nor GB 18030")


def _device_of(fields: dict[str, str]) -> NewDevice:
    if "" in fields:
        raise DeviceRefusedError(f"more fields than columns: {fields[''][:40]!r}")
    return NewDevice(
        fields["id"],
        fields.get("name", ""),
        fields.get("area_code") or None,
        fields.get("wearer") or None,
    )
