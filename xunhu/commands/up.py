"""`xunhu up`."""

import logging

import click

from xunhu.home import Home
from xunhu.up import Up, Wanted

_PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--demo", is_flag=True, help="Add a fictional district with virtual devices.")
@click.option(
    "--terminals",
    default=20,
    show_default=True,
    type=click.IntRange(0, 9999),
    help="Virtual terminals of the demo.",
)
@click.option(
    "--sensors",
    "sensor_nodes",
    default=4,
    show_default=True,
    type=click.IntRange(0, 9999),
    help="Virtual sensor nodes of the demo.",
)
@click.option(
    "--listen",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where broker and console can be reached; HTTPS unless it is loopback.",
)
@click.option("--name", metavar="NAME", help="What real boards call this machine (certificates).")
@click.option("--api-port", default=8080, show_default=True, type=_PORT, help="Console and API.")
@click.option(
    "--devices-port",
    default=8883,
    show_default=True,
    type=_PORT,
    help="The broker's listener for devices.",
)
@click.option(
    "--services-port",
    default=8884,
    show_default=True,
    type=_PORT,
    help="The broker's listener for gateway and API, on loopback.",
)
@click.option(
    "--gateways",
    default=1,
    show_default=True,
    type=click.IntRange(1, 16),
    help="Gateway processes.",
)
@click.option(
    "--apis",
    default=1,
    show_default=True,
    type=click.IntRange(1, 16),
    help="API processes, on the ports from --api-port on.",
)
@click.option(
    "--witness",
    is_flag=True,
    help="Virtual devices note what is done to them (devices/ID/witness.jsonl).",
)
def up(**wanted: object) -> None:
    """Start broker, gateway, API and console, and keep them running. 启动全部服务."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    Up(Home.from_environment(), Wanted(**wanted), click.echo).run()  # type: ignore[arg-type]
