"""Chooses the telemetry store by its URL; the only place that knows which ones there are."""

from pathlib import Path

from storage.errors import StorageError
from storage.settings import Settings
from storage.telemetry.interface import Telemetry
from storage.telemetry.sqlite import SqliteTelemetry


def open_telemetry(settings: Settings) -> Telemetry:
    """Open the telemetry store that the settings name.

    Raises:
        StorageError: The URL names no store that there is.
    """
    scheme, _, rest = settings.telemetry_url.partition("://")
    if scheme == "sqlite" and rest.startswith("/"):
        return SqliteTelemetry(Path(rest[1:]))
    if scheme in ("influxdb+http", "influxdb+https"):
        # Half a second of imports that a machine with SQLite never needs.
        from storage.telemetry.influx import InfluxTelemetry  # noqa: PLC0415
        from storage.telemetry.influx_link import InfluxAddress  # noqa: PLC0415

        address = InfluxAddress.parse(settings.telemetry_url, settings.telemetry_token)
        return InfluxTelemetry(address, settings.instance)
    raise StorageError(
        f"telemetry is sqlite:///PATH or influxdb+http://HOST:PORT?org=..&bucket=.., not {scheme}://"
    )
