"""Where the stores are; one frozen value, read once by each process's own settings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """URLs of both stores.

    Attributes:
        registry_url: `sqlite:///PATH` or `postgresql+psycopg://USER@HOST/NAME`.
        telemetry_url: `sqlite:///PATH` or `influxdb+http://HOST:PORT?org=ORG&bucket=BUCKET`.
        telemetry_token: InfluxDB's token; empty for SQLite.
        instance: This process among all that write telemetry, `[a-z0-9-]+`; no two share one.
    """

    registry_url: str = ""
    telemetry_url: str = ""
    telemetry_token: str = ""
    instance: str = "1"
