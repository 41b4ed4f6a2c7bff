"""`xunhu application`: sign what devices run, and offer it to those that look for one."""

from pathlib import Path

import click

from provisioning.application import boards, build_application
from provisioning.authority import Authority
from provisioning.releases import ReleaseKey, sign_application
from storage.applications import ApplicationStore, unpack
from wire_protocol import blocks
from xunhu.errors import XunhuError
from xunhu.home import Home


@click.group()
def application() -> None:
    """Sign and publish applications for devices. 终端应用的签名与发布."""


@application.command()
@click.option("--board", required=True, type=click.Choice(boards()))
@click.option(
    "--release",
    type=click.IntRange(1, blocks.RELEASE_MAX),
    help="Its number, above all before it; the next one of this installation if not given.",
)
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False, path_type=Path))
def build(board: str, release: int | None, output: Path) -> None:
    """Build the application of this checkout and sign it into a file. 构建并签名."""
    home = Home.from_environment()
    Authority.open(home.folder)  # Makes HOME/pki; the release key is not one of its certificates.
    number = release or ApplicationStore(home.applications).newest(board) + 1
    made = build_application(board)
    content = sign_application(made, number, ReleaseKey.open(home.folder))
    output.write_bytes(content)
    click.echo(f"{output}: release {number} for {board}, version {made.version}")


@application.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def publish(file: Path) -> None:
    """Offer a signed file to the devices of its board. 发布."""
    home = Home.from_environment()
    content = file.read_bytes()
    _, manifest, _ = unpack(content)
    _, signed, signature = blocks.parse_manifest(manifest)
    if not ReleaseKey.open(home.folder).has_signed(signed, signature):
        raise XunhuError(f"{file} was not signed by this installation: its devices refuse it")
    found = ApplicationStore(home.applications).publish(content)
    click.echo(f"release {found.release} for {found.board} is offered")


@application.command("list")
def list_() -> None:
    """Say what is offered. 列出已发布的应用."""
    store = ApplicationStore(Home.from_environment().applications)
    for board in store.boards():
        for release in store.releases(board):
            found, _, _ = blocks.parse_manifest(store.read(board, release, blocks.MANIFEST))
            click.echo(f"{board} release {release} version {found.name}")
