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
    raise StorageError(
        f"telemetry is sqlite:///PATH or influxdb+http://HOST:PORT?org=..&bucket=.., not {scheme}://"
    )
