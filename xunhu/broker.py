"""The broker's configuration on this machine, rendered from deploy/mosquitto, and its start."""

import getpass
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from string import Template

from provisioning.authority import BrokerIdentity, Issuer
from xunhu.errors import XunhuError
from xunhu.processes import Command

_PROJECT = Path(__file__).parent.parent
_DEPLOY = _PROJECT / "deploy" / "mosquitto"


@dataclass(frozen=True)
class Listeners:
    """Where the broker listens. Devices may come from anywhere, services from this machine."""

    devices_address: str = "127.0.0.1"
    devices_port: int = 8883
    services_address: str = "127.0.0.1"
    services_port: int = 8884


def broker_command(
    folder: Path, listeners: Listeners, authority: Issuer, identity: BrokerIdentity
) -> Command:
    """Write the configuration into `folder` and return the command that starts the broker.

    Raises:
        XunhuError: There is no mosquitto on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    template = Template((_DEPLOY / "mosquitto.conf.template").read_text(encoding="utf-8"))
    configuration = folder / "mosquitto.conf"
    configuration.write_text(
        template.substitute(
            user=getpass.getuser(),
            devices_address=listeners.devices_address,
            devices_port=listeners.devices_port,
            devices_acl=_private_copy(_DEPLOY / "devices.acl", folder),
            devices_ca=authority.devices_ca_path,
            devices_certificate=identity.devices.certificate_path,
            devices_key=identity.devices.key_path,
            services_address=listeners.services_address,
            services_port=listeners.services_port,
            services_acl=_private_copy(_DEPLOY / "services.acl", folder),
            services_ca=authority.services_ca_path,
            services_certificate=identity.services.certificate_path,
            services_key=identity.services.key_path,
        ),
        encoding="utf-8",
    )
    return Command("broker", [mosquitto_program(), "-c", str(configuration)])


def mosquitto_program() -> str:
    """Return the broker's program: XUNHU_MOSQUITTO, our own unpacked one, or the machine's."""
    own = _PROJECT / ".tools" / "bin" / "mosquitto"
    candidates = [os.environ.get("XUNHU_MOSQUITTO"), str(own) if own.exists() else None]
    # Debian keeps it where only root's path looks.
    candidates.append(shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin"))
    for candidate in candidates:
        if candidate:
            return candidate
    raise XunhuError("missing: mosquitto (run: tools/setup.sh run)")


def answers(address: str, port: int) -> bool:
    """Tell whether something accepts connections there."""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def _private_copy(source: Path, folder: Path) -> Path:
    """Mosquitto warns about rules that others could write; a checkout's mode is not ours."""
    copy = folder / source.name
    copy.write_bytes(source.read_bytes())
    copy.chmod(0o600)
    return copy
