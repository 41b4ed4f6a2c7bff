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

# How many of each have a name on the broker; more than one machine ever runs.
SERVICES_MAX = 16
_PROJECT = Path(__file__).parent.parent
_DEPLOY = _PROJECT / "deploy" / "mosquitto"
# A broker has one file for each connection. A shell's usual limit is 1,024, less than a district;
# how far it may be raised the machine's administrator has said.
_ALL_FILES = 'ulimit -n "$(ulimit -H -n)"; exec "$0" "$@"'
_GATEWAY_RULES = ("read xh/1/+/up/+", "write xh/1/+/down/+", "write xh/1/live/{name}")
_API_RULES = ("read xh/1/live/+", "write xh/1/live/{name}")


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
    configuration = _write(
        folder / "mosquitto.conf",
        _template("mosquitto.conf").substitute(
            user=getpass.getuser(),
            devices_address=listeners.devices_address,
            devices_port=listeners.devices_port,
            devices_acl=_write(folder / "devices.acl", _rules_of_devices()),
            devices_ca=authority.devices_ca_path,
            devices_certificate=identity.devices.certificate_path,
            devices_key=identity.devices.key_path,
            services_address=listeners.services_address,
            services_port=listeners.services_port,
            services_acl=_write(folder / "services.acl", _rules_of_services()),
            services_ca=authority.services_ca_path,
            services_certificate=identity.services.certificate_path,
            services_key=identity.services.key_path,
        ),
    )
    arguments = [mosquitto_program(), "-c", str(configuration)]
    return Command("broker", ["/bin/sh", "-c", _ALL_FILES, *arguments])


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


def _template(name: str) -> Template:
    return Template((_DEPLOY / f"{name}.template").read_text(encoding="utf-8"))


def _rules_of_devices() -> str:
    return (_DEPLOY / "devices.acl").read_text(encoding="utf-8")


def _rules_of_services() -> str:
    users = []
    for kind, rules in (("gateway", _GATEWAY_RULES), ("api", _API_RULES)):
        for number in range(1, SERVICES_MAX + 1):
            name = f"{kind}-{number}"
            users.append(f"user {name}")
            users += [f"topic {rule.format(name=name)}" for rule in rules]
    return _template("services.acl").substitute(users="\n".join(users))


def _write(path: Path, text: str) -> Path:
    """Write a file that nobody else can change: mosquitto warns about others."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path
