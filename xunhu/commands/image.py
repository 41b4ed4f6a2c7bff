"""`xunhu image`: a whole 4 MB flash image for one board."""

import sys
from pathlib import Path

import click

from provisioning import configuration, devices
from provisioning.application import boards, build_application
from provisioning.authority import Authority
from provisioning.image import compose_image, load_official
from provisioning.releases import ReleaseKey
from xunhu.commands.device import BY, checked_id, now_ms, opened_registry
from xunhu.home import Home


@click.command()
@click.option("--board", required=True, type=click.Choice(boards()))
@click.option(
    "--micropython",
    "official",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The official MicroPython image for this board; its hash is checked.",
)
@click.option(
    "--wifi",
    "networks",
    multiple=True,
    metavar="NAME[:PASSWORD]",
    help=f"A network to join; repeat it for more, in order, {configuration.NETWORKS_MAX} at most.",
)
@click.option(
    "--apn",
    default="",
    metavar="NAME",
    help="Access point name of the LTE modem, used where no network is; without it none is used.",
)
@click.option(
    "--relay",
    is_flag=True,
    help="A terminal without a link hands its SOS to neighbours by radio, and carries theirs.",
)
@click.option("--broker", required=True, metavar="HOST:PORT", help="As the board reaches it.")
@click.option(
    "--broker-name",
    required=True,
    metavar="NAME",
    help="The name in the broker's certificate (xunhu up --name).",
)
@click.option(
    "--device",
    "device_id",
    required=True,
    metavar="ID",
    callback=checked_id,
    help="t-... or s-...",
)
@click.option("--duty", is_flag=True, help="A new terminal starts on duty.")
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False, path_type=Path))
def image(  # noqa: PLR0913, PLR0917 - one for each option
    board: str,
    official: Path,
    networks: tuple[str, ...],
    apn: str,
    relay: bool,
    broker: str,
    broker_name: str,
    device_id: str,
    duty: bool,
    output: Path,
) -> None:
    """Register a device, issue its certificate and compose its flash image. 生成整机烧录镜像.

    Write it with: esptool write-flash 0 OUTPUT (esptool is in the folder of `xunhu`).
    """
    host, port = configuration.parse_address(broker)
    config = configuration.DeviceConfig(
        broker_host=host,
        broker_port=port,
        broker_name=broker_name,
        device_kind="terminal" if device_id.startswith("t-") else "sensor_node",
        networks=tuple(configuration.parse_network(text) for text in networks),
        apn=apn,
        relay=relay,
        duty=duty,
    )
    micropython = load_official(official)
    application = build_application(board)
    home = Home.from_environment().folder
    authority = Authority.open(home)
    with opened_registry() as registry:
        new = devices.NewDevice(device_id)
        devices.ensure_device(registry, new, by=BY, now_ms=now_ms())
        identity = devices.issue_identity(registry, authority, device_id, by=BY, now_ms=now_ms())
    content = compose_image(
        device_id=device_id,
        identity=identity,
        ca_der=authority.devices_ca_der,
        config=config,
        application=application,
        official=micropython,
        release_key=ReleaseKey.open(home).public,
    )
    # It holds a private key: nobody else may read it.
    output.touch(mode=0o600)
    output.write_bytes(content)
    click.echo(f"{output}: {len(content)} bytes for {device_id}")
    click.echo(f"write it with: {Path(sys.executable).parent}/esptool write-flash 0 {output}")
    _note_a_name_nobody_has(authority.broker_names(), broker_name)


def _note_a_name_nobody_has(certified: list[str], broker_name: str) -> None:
    """Say it here: the board can only say OFFLINE when its broker shows another name."""
    if broker_name not in certified:
        has = ", ".join(certified) or "no name yet"
        click.echo(
            f"note: the broker's certificate has {has}. The device connects once the broker was "
            f"started with: xunhu up --listen ADDRESS --name {broker_name}",
            err=True,
        )
