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
    """Run the command line; an error that we know is one line and exit code 1, or 2 for usage."""
    sys.exit(_run())


def _run() -> int:
    try:
        code = xunhu.main(prog_name="xunhu", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f" ({context.command_path} --help)" if context else ""
        click.echo(f"xunhu: {_one_line(error.format_message())}{hint}", err=True)
        return error.exit_code
    except click.Abort:
        return 1
    except _KNOWN as error:
        click.echo(f"xunhu: {_one_line(str(error))}", err=True)
        return 1
    return code if isinstance(code, int) else 0


def _one_line(text: str) -> str:
    return " ".join(text.split())
