"""`xunhu wire`: what a frame on the wire says."""

import base64
import binascii
from pathlib import Path

import click

from wire_protocol.explain import explain
from xunhu.errors import XunhuError


@click.group()
def wire() -> None:
    """Look at the wire protocol. 通信协议."""


@wire.command()
@click.argument("frame")
@click.option("--topic", help="The topic it came on; without it the frame speaks for itself.")
@click.option("--file", "is_file", is_flag=True, help="FRAME is the name of a file of bytes.")
def decode(frame: str, topic: str | None, is_file: bool) -> None:
    """Explain a FRAME, given as JSON, hexadecimal, base64 or a file, in words. 解释一帧数据."""
    payload = Path(frame).read_bytes() if is_file else _bytes_of(frame)
    click.echo(explain(topic, payload))


def _bytes_of(text: str) -> bytes:
    if text.lstrip().startswith("{"):
        return text.encode()
    compact = "".join(text.split())
    try:
        return bytes.fromhex(compact)
    except ValueError:
        pass
    try:
        return base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError) as error:
        raise XunhuError(f"{text[:40]!r} is no JSON, no hexadecimal and no base64") from error
