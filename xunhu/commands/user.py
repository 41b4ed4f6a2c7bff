"""`xunhu user`: accounts of the console."""

import click

from fleet_api.users.service import reset_password
from xunhu.commands.device import opened_registry


@click.group()
def user() -> None:
    """Accounts of the console. 控制台账号."""


@user.command()
@click.argument("name")
def reset(name: str) -> None:
    """Give NAME a new random password and end its sessions. 重置密码."""
    with opened_registry() as registry:
        password = reset_password(registry, name)
    click.echo(f"{name}  {password}")
