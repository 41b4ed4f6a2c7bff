"""The servers of a rig: a real broker, a real gateway, their stores, and eyes on these."""

import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hil_tests.errors import RigError, StageError
from provisioning.authority import DeviceIdentity, certificate_serial
from storage.registry.models import Case, Device, Event
from storage.registry.outbox import enqueue
from tests.gateway.installation import GatewayProcess, Installation
from wire_protocol import track

SOS_STATUS_TTL_S = 3_600
OPERATOR = "bench"
_STATUS = {"take": "taken", "help": "help", "close": "closed"}
Row = dict[str, Any]


class Servers:
    """One installation below a folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._installation = Installation(home)
        self._gateway: GatewayProcess | None = None
        self._eyes = threading.local()
        self._opened: list[sqlite3.Connection] = []

    @property
    def authority(self) -> Any:
        """Who signs the devices' certificates here."""
        return self._installation.authority

    @property
    def broker(self) -> tuple[str, int]:
        """Where devices connect, behind the fault proxy."""
        return ("127.0.0.1", self._installation.listeners.devices_port)

    @property
    def services_port(self) -> int:
        """Where services find the broker, with certificates of their own."""
        return int(self._installation.listeners.services_port)

    def start(self) -> None:
        """Start all; returns when the gateway is connected."""
        self.start_part("broker")
        self.start_part("gateway")
        self.wait_until_ready()

    def stop(self) -> None:
        """Stop all."""
        for connection in self._opened:
            connection.close()
        self._installation.stop()

    def wait_until_ready(self) -> None:
        """Return when the gateway is connected."""
        assert self._gateway is not None
        self._gateway.wait_until_connected()

    def kill_part(self, name: str) -> None:
        """Kill the broker or the gateway as a power cut would."""
        if name == "broker":
            self._installation.kill_broker()
        elif self._gateway is not None:
            self._gateway.kill()

    def start_part(self, name: str) -> None:
        """Start the broker or the gateway; what runs already is left alone."""
        broker = self._installation.broker
        if name == "broker":
            if broker is None or broker.poll() is not None:
                self._installation.start_broker()
        elif self._gateway is None or self._gateway.process.poll() is not None:
            self._gateway = self._installation.start_gateway("1")

    def register(self, device: str, kind: str, identity: DeviceIdentity) -> None:
        """Let a device speak here; one that is known gets its new certificate's number."""
        serial = certificate_serial(identity.certificate_der)
        with self._installation.registry.begin() as session:
            row = session.get(Device, device)
            if row is None:
                row = Device(id=device, kind=kind, name=device, created_ms=_now_ms())
                session.add(row)
            row.certificate_serial = serial

    def command(self, device: str, command: Row) -> str:
        """Queue a command as the fleet API does; return its id."""
        with self._installation.registry.begin() as session:
            row = enqueue(
                session,
                device=device,
                topic="command",
                kind=command["kind"],
                body=command["body"],
                ttl_s=command["ttl_s"],
                created_by=OPERATOR,
                now_ms=_now_ms(),
            )
        return str(row["id"])

    def step_case(self, device: str, step: str) -> None:
        """Take, help or close the open SOS of a device, and tell its wearer.

        Raises:
            StageError: There is no open SOS.
        """
        now_ms = _now_ms()
        with self._installation.registry.begin() as session:
            case = session.scalar(
                select(Case).where(
                    Case.device == device, Case.kind == "sos", Case.closed_ms.is_(None)
                )
            )
            if case is None:
                raise StageError(f"{device} has no open SOS to {step}")
            if step == "take":
                case.status, case.taken_by, case.taken_ms = "taken", OPERATOR, now_ms
                case.acknowledged_presses = case.presses
            elif step == "close":
                case.status, case.closed_by, case.closed_ms = "closed", OPERATOR, now_ms
            last = session.get(Event, case.last_event_id)
            body = {
                "epoch": case.epoch if last is None else last.epoch,
                "incident": case.incident if last is None else last.body["incident"],
                "status": _STATUS[step],
                "by": OPERATOR,
                "at": now_ms,
            }
            enqueue(
                session,
                device=device,
                topic="sos_status",
                kind="sos_status",
                body=body,
                ttl_s=SOS_STATUS_TTL_S,
                created_by=OPERATOR,
                now_ms=now_ms,
            )

    def close_cases(self, device: str) -> list[str]:
        """Close every open case of a device, and tell its wearer of an SOS; return their kinds."""
        kinds = [row["kind"] for row in self.cases(device) if row["closed_ms"] is None]
        for kind in kinds:
            if kind == "sos":
                self.step_case(device, "close")
        with self._installation.registry.begin() as session:
            query = select(Case).where(Case.device == device, Case.closed_ms.is_(None))
            for case in session.scalars(query):
                case.status, case.closed_by, case.closed_ms = "closed", OPERATOR, _now_ms()
        return kinds

    # Eyes: what is stored, read beside the code that stored it.

    def state(self, device: str) -> Row | None:
        """Return the last stored state of a device."""
        rows = self._registry("SELECT * FROM device_state WHERE device = ?", device)
        if not rows:
            return None
        return rows[0] | {"state": json.loads(rows[0]["state"])}

    def events(self, device: str, after: int = 0) -> list[Row]:
        """Return event rows by id, with the columns of their body."""
        rows = self._registry(
            "SELECT * FROM event WHERE device = ? AND id > ? ORDER BY id", device, after
        )
        return [json.loads(row["body"]) | row for row in rows]

    def cases(self, device: str, after: int = 0) -> list[Row]:
        """Return case rows by id."""
        return self._registry(
            'SELECT * FROM "case" WHERE device = ? AND id > ? ORDER BY id', device, after
        )

    def commands(self, device: str) -> list[Row]:
        """Return rows of the ledger of commands, oldest first."""
        query = "SELECT * FROM command WHERE device = ? ORDER BY created_ms, id"
        return self._registry(query, device)

    def results(self, device: str, after: int = 0) -> list[Row]:
        """Return rows of results by id."""
        rows = self._registry(
            "SELECT * FROM result WHERE device = ? AND id > ? ORDER BY id", device, after
        )
        return [row | {"data": json.loads(row["data"] or "null")} for row in rows]

    def batches(self, device: str, stream: str) -> list[tuple[int, int, bytes]]:
        """Return (epoch, seq, record) of every stored batch of track or reading."""
        query = (
            f"SELECT epoch, seq, record FROM {stream}"
            " JOIN device ON device.no = device_no WHERE device.id = ?"
        )
        rows = self._ask("telemetry", query, device)
        return [(row["epoch"], row["seq"], row["record"]) for row in rows]

    def fixes(self, device: str) -> list[tuple[int, int, int]]:
        """Return (Unix s, lat_e6, lon_e6) of every stored fix."""
        return [
            (fix.at_ms // 1000, fix.lat_e6, fix.lon_e6)
            for _, _, record in self.batches(device, "track")
            for fix in track.decode(record).fixes
        ]

    def version(self) -> tuple[int, int]:
        """Return numbers that change whenever something is stored; cheap."""
        asked = [self._ask(name, "PRAGMA data_version") for name in ("registry", "telemetry")]
        return (len(asked[0]) and asked[0][0]["data_version"]), (
            len(asked[1]) and asked[1][0]["data_version"]
        )

    def _registry(self, query: str, *values: Any) -> list[Row]:
        return self._ask("registry", query, *values)

    def _ask(self, store: str, query: str, *values: Any) -> list[Row]:
        """Ask over this thread's own connection, which cannot write."""
        connection = getattr(self._eyes, store, None)
        try:
            if connection is None:
                connection = self._open(store)
                if connection is None:
                    return []
                setattr(self._eyes, store, connection)
            return [dict(row) for row in connection.execute(query, values)]
        except sqlite3.OperationalError as error:
            raise RigError(f"{store}: {error}") from error

    def _open(self, store: str) -> sqlite3.Connection | None:
        """Return a new connection; None before the file or its tables are there."""
        path = self.home / f"{store}.sqlite"
        if not path.exists():
            return None
        # Closed by whoever stops the servers, which is another thread.
        connection = sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, timeout=30, check_same_thread=False
        )
        tables = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name IN ('event', 'reading')"
        )
        if not tables.fetchone()[0]:
            connection.close()
            return None
        connection.row_factory = sqlite3.Row
        self._opened.append(connection)
        return connection


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
