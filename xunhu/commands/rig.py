"""Commands for the buttons, sensors and screen of virtual devices."""

import json

import click

from provisioning.control import Control
from provisioning.virtual import device_folder
from wire_protocol import sensors
from xunhu.commands.device import checked_id
from xunhu.errors import XunhuError
from xunhu.home import Home

# Longer than any hold time that a terminal can be set to.
_HOLD_S = 2.0


def _control(device: str) -> Control:
    return Control(device_folder(Home.from_environment().folder, device))


@click.command()
@click.argument("button", type=click.Choice(["sos", "duty", "ok"]))
@click.argument("device", callback=checked_id)
@click.option("--hold", "hold_s", default=_HOLD_S, show_default=True, help="Seconds.")
def press(button: str, device: str, hold_s: float) -> None:
    """Press a BUTTON of a virtual DEVICE. 按下虚拟设备的按键."""
    _control(device).push(button, hold_s=hold_s if button == "sos" else 0.0)
    click.echo(f"{device}: {button} pressed")


@click.command(name="set")
@click.argument("device", callback=checked_id)
@click.argument("sensor")
@click.argument("value", type=int)
def set_sensor(device: str, sensor: str, value: int) -> None:
    """Set what a SENSOR of a virtual DEVICE measures. 设置虚拟传感器的数值."""
    control = _control(device)
    wired = control.show()["sensors"]
    if sensor not in wired:
        raise XunhuError(f"{device} has no sensor {sensor!r}; it has {', '.join(wired) or 'none'}")
    sensors.check_value(sensors.code(sensor), value)
    control.set_sensor(sensor, value)
    click.echo(f"{device}: {sensor} = {value}")


@click.command()
@click.argument("device", callback=checked_id)
def show(device: str) -> None:
    """Show a virtual DEVICE: lights, screen, what it says of itself. 显示虚拟设备的状态."""
    click.echo(json.dumps(_control(device).show(), ensure_ascii=False, indent=2))


@click.command()
@click.argument("device", callback=checked_id)
@click.argument("state", type=click.Choice(["up", "down"]))
def link(device: str, state: str) -> None:
    """Cut or restore the network of a virtual DEVICE. 断开或恢复虚拟设备的网络."""
    _control(device).link(up=state == "up")
    click.echo(f"{device}: network {state}")
