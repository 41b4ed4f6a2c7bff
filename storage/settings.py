"""Where the stores are; one frozen value, read once by each process's own settings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """URLs of both stores.

    Attributes:
        registry_url: `sqlite:///PATH` or `postgresql+psycopg://USER@HOST/NAME`.
        telemetry_url: `sqlite:///PATH` or `influxdb+http://HOST:PORT?org=ORG&bucket=BUCKET`.
        telemetry_token: InfluxDB's token; empty for SQLite.
    """

    registry_url: str = ""
    telemetry_url: str = ""
    telemetry_token: str = ""
