"""Everything a gateway is told from outside: environment variables named XUNHU_*, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import GatewayError
from storage import relay_keys

_PORT_MAX = 65535
# Seven minutes of a district of 1,436 terminals, 15 MB; ten districts have room for as long.
BULK_MESSAGES = 20_000
BULK_MESSAGES_MAX = 200_000
# Two devices a second fetch a whole application, a district in ten minutes; tracks take a tenth.
BLOCK_BYTES_PER_S = 262_144
BLOCK_BYTES_PER_S_MAX = 1 << 30


@dataclass(frozen=True)
class Settings:
    """One gateway's settings.

    Attributes:
        instance: Tells gateways apart; `gateway-<instance>` is the certificate's common name.
        broker_ca, broker_cert, broker_key: PEM files of the services listener.
        metrics_port: Prometheus on loopback; 0: none.
        bulk_messages_max: Tracks and readings that wait in memory, each some 750 bytes.
        relay_secret: File of the SOS relay's secret; without it no relayed SOS can be opened.
        applications: Folder of the signed applications that devices may fetch.
        block_bytes_per_s: What all of them together may fetch.
        stop_at: A point at which the process kills itself (gateway/adapters/crash_points.py).
    """

    instance: str
    registry_url: str
    telemetry_url: str
    telemetry_token: str
    broker_host: str
    broker_port: int
    broker_ca: Path
    broker_cert: Path
    broker_key: Path
    metrics_port: int
    bulk_messages_max: int
    relay_secret: Path
    applications: Path
    block_bytes_per_s: int
    stop_at: str

    @property
    def producer(self) -> str:
        """This process's name on the live bus and on the broker."""
        return f"gateway-{self.instance}"


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings with their defaults.

    Raises:
        GatewayError: A number is none, or out of its range.
    """
    home = Path(environment.get("XUNHU_HOME", "var")).absolute()
    instance = environment.get("XUNHU_INSTANCE", "1")
    name = f"gateway-{instance}"
    services = home / "pki" / "services"
    return Settings(
        instance=instance,
        registry_url=environment.get("XUNHU_REGISTRY_URL", f"sqlite:///{home}/registry.sqlite"),
        telemetry_url=environment.get("XUNHU_TELEMETRY_URL", f"sqlite:///{home}/telemetry.sqlite"),
        telemetry_token=environment.get("XUNHU_TELEMETRY_TOKEN", ""),
        broker_host=environment.get("XUNHU_BROKER_HOST", "127.0.0.1"),
        broker_port=_number(environment, "XUNHU_BROKER_PORT", 8884, _PORT_MAX),
        broker_ca=_path(environment, "XUNHU_BROKER_CA", home / "pki" / "services-ca.pem"),
        broker_cert=_path(environment, "XUNHU_BROKER_CERT", services / f"{name}.pem"),
        broker_key=_path(environment, "XUNHU_BROKER_KEY", services / f"{name}.key.pem"),
        metrics_port=_number(environment, "XUNHU_GATEWAY_METRICS_PORT", 0, _PORT_MAX),
        bulk_messages_max=_number(
            environment, "XUNHU_GATEWAY_BULK_MESSAGES_MAX", BULK_MESSAGES, BULK_MESSAGES_MAX
        ),
        relay_secret=_path(environment, "XUNHU_RELAY_SECRET", home / "pki" / relay_keys.FILE_NAME),
        applications=_path(environment, "XUNHU_APPLICATIONS", home / "applications"),
        block_bytes_per_s=_number(
            environment,
            "XUNHU_GATEWAY_BLOCK_BYTES_PER_S",
            BLOCK_BYTES_PER_S,
            BLOCK_BYTES_PER_S_MAX,
        ),
        stop_at=environment.get("XUNHU_GATEWAY_STOP_AT", ""),
    )


def _path(environment: Mapping[str, str], name: str, default: Path) -> Path:
    return Path(environment[name]) if environment.get(name) else default


def _number(environment: Mapping[str, str], name: str, default: int, highest: int) -> int:
    text = environment.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or int(text) > highest:
        raise GatewayError(f"{name}={text!r}, not 0..{highest}")
    return int(text)
