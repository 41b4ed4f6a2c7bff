"""The chip's own check of a signature says what a library says."""

import json
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.releases import ReleaseKey
from tests.wire_protocol.interpreters import REPOSITORY, micropythons

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SCRIPT = """
import sys, json, asyncio
sys.path.insert(0, {firmware!r})
from rescue.signature import is_signed
unhex = lambda text: bytes([int(text[at:at + 2], 16) for at in range(0, len(text), 2)])
async def main():
    for row in json.load(open({rows!r})):
        print(int(await is_signed(*[unhex(part) for part in row])))
asyncio.run(main())
"""


def _rows() -> list[tuple[bytes, bytes, bytes, bool]]:
    rows = []
    for number in range(6):
        key = ReleaseKey(ec.generate_private_key(ec.SECP256R1()))
        other = ReleaseKey(ec.generate_private_key(ec.SECP256R1()))
        message = b"manifest %d" % number
        signature = key.sign(message)
        r, s = signature[:32], signature[32:]
        rows += [
            (message, signature, key.public, True),
            # s and its negative are both signatures in ECDSA.
            (
                message,
                r + (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big"),
                key.public,
                True,
            ),
            (message + b"!", signature, key.public, False),
            (message, signature, other.public, False),
            (message, s + r, key.public, False),
            (message, bytes(32) + s, key.public, False),
            (message, r + bytes(32), key.public, False),
            (message, ORDER.to_bytes(32, "big") + s, key.public, False),
            (message, signature[:-1], key.public, False),
            (message, signature, key.public[:-1], False),
            (message, signature, bytes(64), False),
            (message, signature, key.public[:63] + bytes((key.public[63] ^ 1,)), False),
        ]
    return rows


@pytest.mark.parametrize("name", ["wheel", "1.25-i386"])
def test_it_says_what_the_library_says(tmp_path, name):
    rows = _rows()
    (tmp_path / "rows.json").write_text(json.dumps([[part.hex() for part in r[:3]] for r in rows]))
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT.format(firmware=str(REPOSITORY / "firmware"), rows=str(tmp_path / "rows.json"))
    )
    done = subprocess.run(
        [micropythons()[name], str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == [str(int(row[3])) for row in rows], done.stderr
