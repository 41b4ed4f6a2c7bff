"""Both telemetry stores behind a gateway, as a bad day finds them: away, and back again."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from storage.settings import Settings
from storage.telemetry.open import open_telemetry
from tests.gateway import stores
from tests.gateway.fake_device import LAT_E6, FakeDevice
from tests.gateway.installation import Installation
from tests.storage.influx_server import InfluxProcess
from wire_protocol import readings

FAR_MS = 4_102_444_800_000  # 2100-01-01


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep everybody else from writing a store, as a stuck backup would."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


class TelemetryStore(Protocol):
    """What a test does to a telemetry store."""

    def away(self) -> AbstractContextManager[None]:
        """Let it take nothing."""

    def assert_stored_exactly_once(self, devices: Iterable[FakeDevice]) -> None:
        """Every record of these devices, events too, is in its store once, and nothing else is."""


class SqliteStore:
    """The default: a file beside the registry."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def away(self) -> AbstractContextManager[None]:
        return locked(self._installation.home / "telemetry.sqlite")

    def assert_stored_exactly_once(self, devices: Iterable[FakeDevice]) -> None:
        stores.assert_stored_exactly_once(self._installation, devices)


class InfluxStore:
    """A real InfluxDB, killed and started again with its data."""

    def __init__(self, installation: Installation, process: InfluxProcess) -> None:
        self._installation, self._process = installation, process
        installation.telemetry_url = process.new_bucket()
        installation.telemetry_token = process.token

    @contextmanager
    def away(self) -> Iterator[None]:
        self._process.stop()
        try:
            yield
        finally:
            self._process.start()

    def assert_stored_exactly_once(self, devices: Iterable[FakeDevice]) -> None:
        devices = list(devices)
        stores.assert_registry_holds(self._installation, devices)
        telemetry = open_telemetry(
            Settings(
                telemetry_url=self._installation.telemetry_url,
                telemetry_token=self._installation.telemetry_token,
            )
        )
        try:
            for device in devices:
                found = Counter(
                    (fix.epoch, fix.seq, fix.lat_e6)
                    for fix in telemetry.track(device.device, 0, FAR_MS)
                )
                assert found == _made_fixes(device)
                found_readings = telemetry.readings(device.device, None, 0, FAR_MS)
                assert Counter(point.value for point in found_readings) == _made_readings(device)
        finally:
            telemetry.close()


def _made_fixes(device: FakeDevice) -> Counter[tuple[int, int, int]]:
    return Counter(
        (device.epoch, seq, LAT_E6 + seq)
        for sealed in device.made
        if sealed.stream == "track"
        for seq in range(sealed.first, sealed.last + 1)
    )


def _made_readings(device: FakeDevice) -> Counter[int]:
    return Counter(
        reading.value
        for sealed in device.made
        if sealed.stream == "reading"
        for reading in readings.decode(sealed.record).readings
    )
