"""What a device is told when it is provisioned: its broker, its networks, its sensors."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.errors import ProvisioningError

DEVICE_KINDS = {"terminal": "t-", "sensor_node": "s-"}
NETWORKS_MAX = 8
SSID_BYTES_MAX = 32  # IEEE 802.11.
PASSWORD_BYTES = range(8, 64)  # WPA2 passphrase; none at all is an open network.
HOST_CHARACTERS_MAX = 253
# 3GPP TS 23.003, 9.1: letters, digits and hyphens between dots. It goes into an AT command.
APN_CHARACTERS_MAX = 100
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_APN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True)
class DeviceConfig:
    """The JSON in the NVS blob `config`; checked here, so that a device can trust it.

    Attributes:
        broker_host: What the device connects to: a DNS name or an IPv4 address.
        broker_port: 1..65535.
        broker_name: The name in the broker's certificate.
        device_kind: terminal | sensor_node.
        networks: (ssid, password) in the order in which they are tried; password "" is open.
        apn: Access point name that the modem dials; "" when the device has no modem.
        relay: Whether a terminal without a link hands its SOS to its neighbours by radio, and
            carries theirs.
        duty: Whether a new terminal starts on duty.
        return_s: Over how many seconds devices spread their return to a broker that was lost.
        sensors: Of a sensor node: {name: {"threshold", "hysteresis", "period_s", ...}}.
    """

    broker_host: str
    broker_port: int
    broker_name: str
    device_kind: str = "terminal"
    networks: tuple[tuple[str, str], ...] = ()
    apn: str = ""
    relay: bool = False
    duty: bool = False
    return_s: int = 35
    sensors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.device_kind not in DEVICE_KINDS:
            raise ProvisioningError(
                f"device kind {self.device_kind!r}, not {' or '.join(DEVICE_KINDS)}"
            )
        if not 1 <= self.broker_port <= 65535:
            raise ProvisioningError(f"broker port {self.broker_port}, 1 to 65535 can be")
        for field_name in ("broker_host", "broker_name"):
            _check_host(field_name, getattr(self, field_name))
        if len(self.networks) > NETWORKS_MAX:
            raise ProvisioningError(f"{len(self.networks)} networks, at most {NETWORKS_MAX}")
        for ssid, password in self.networks:
            check_network(ssid, password)
        if self.apn and not (len(self.apn) <= APN_CHARACTERS_MAX and _APN.fullmatch(self.apn)):
            raise ProvisioningError(
                f"APN {self.apn!r}: letters, digits, - and . between them can be, at most "
                f"{APN_CHARACTERS_MAX} characters"
            )
        if self.relay and self.device_kind != "terminal":
            raise ProvisioningError(f"relay: a {self.device_kind} has no SOS to hand on")

    def as_bytes(self) -> bytes:
        """Return compact JSON, as the device reads it."""
        content: dict[str, Any] = {
            "broker_host": self.broker_host,
            "broker_port": self.broker_port,
            "broker_name": self.broker_name,
            "device_kind": self.device_kind,
            "networks": [list(network) for network in self.networks],
            "duty": self.duty,
            "return_s": self.return_s,
            "sensors": self.sensors,
        }
        # The device keeps all of this in its scarce memory: what it has not is left out.
        content |= {"apn": self.apn} if self.apn else {}
        content |= {"relay": True} if self.relay else {}
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def parse_network(text: str) -> tuple[str, str]:
    """Read `NAME[:PASSWORD]` as the command line gives it; a name holds no colon here."""
    ssid, _, password = text.partition(":")
    check_network(ssid, password)
    return ssid, password


def parse_address(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()):
        raise ProvisioningError(f"broker {text!r} is not HOST:PORT")
    return host, int(port)


def check_network(ssid: str, password: str) -> None:
    """Raise ProvisioningError unless a device could join a network of this name and password."""
    if not 1 <= len(ssid.encode()) <= SSID_BYTES_MAX:
        raise ProvisioningError(f"network name {ssid!r}: 1 to {SSID_BYTES_MAX} bytes can be")
    if password and len(password.encode()) not in PASSWORD_BYTES:
        raise ProvisioningError(f"the password of {ssid!r} must have 8 to 63 bytes, or none")


def _check_host(name: str, text: str) -> None:
    if not (len(text) <= HOST_CHARACTERS_MAX and _HOST.fullmatch(text)):
        raise ProvisioningError(
            f"{name} {text!r}: a DNS name or an IPv4 address can be, 1 to {HOST_CHARACTERS_MAX} "
            "characters"
        )
