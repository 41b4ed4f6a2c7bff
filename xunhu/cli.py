"""The command `xunhu`: parses, prints, and ends the process in one place."""

import sys

import click

from fleet_api.errors import FleetError
from provisioning.errors import ProvisioningError
from storage.errors import StorageError
from wire_protocol.errors import WireError
from xunhu.commands import application, device, image, rig, up, user, wire
from xunhu.errors import XunhuError

_KNOWN = (XunhuError, ProvisioningError, StorageError, FleetError, WireError, OSError)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def xunhu() -> None:
    """Xunhu 巡护: patrol terminals, from the firmware to the command room."""


for command in (
    up.up, application.application, device.device, image.image, rig.press, rig.set_sensor,
    rig.show, rig.link, user.user, wire.wire,
):  # fmt: skip
    xunhu.add_command(command)


def main() -> None:
    """Run the command line; an error that we know is one line and exit code 1."""
    try:
        xunhu()
    except _KNOWN as error:
        click.echo(f"xunhu: {error}", err=True)
        sys.exit(1)
