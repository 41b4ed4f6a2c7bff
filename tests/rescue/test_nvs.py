"""The virtual chip's NVS: numbers are kept in ESP-IDF's own format, and the identity stays."""

import subprocess

import pytest

from provisioning.nvs import compose_nvs, read_nvs
from tests.wire_protocol.interpreters import REPOSITORY, micropythons

ROM = REPOSITORY / "firmware" / "boards" / "virtual" / "rom"
BLOBS = {"id": b"t-0001", "cert": bytes(range(256)) * 3, "key": b"k" * 121, "config": b"{}" * 700}
SCRIPT = """
import sys
sys.path.insert(0, {rom!r})
import nvs_pages
place = (0, 0x4000)
kept = {{}}
with open({file!r}, "r+b") as flash:
    for count in range({count}):
        key = ("boots", "slot", "sos_epoch")[count % 3]
        value = None if count % 7 == 6 else count * 2147 - 1000000
        if value is None and key not in kept:
            continue
        nvs_pages.set_i32(flash, place, "xunhu", key, value)
        if value is None:
            del kept[key]
        else:
            kept[key] = value
        if count % 97 == 0 or count == {count} - 1:
            held = nvs_pages.read(flash, 0, 0x4000, "xunhu")
            assert {{key: held[key] for key in kept}} == kept, (count, held)
            assert len(held) == len(kept) + 4, (count, sorted(held))
try:
    with open({file!r}, "r+b") as flash:
        nvs_pages.set_i32(flash, place, "nobody", "boots", 1)
    print("written")
except OSError as error:
    print("refused", error.errno)
"""


@pytest.mark.parametrize("name", ["wheel", "1.25-i386"])
def test_numbers_are_kept_over_many_pages_and_the_identity_with_them(tmp_path, name):
    path = tmp_path / "nvs.bin"
    path.write_bytes(compose_nvs(BLOBS))
    script = tmp_path / "script.py"
    # More than the four pages hold: each page is used again several times.
    script.write_text(SCRIPT.format(rom=str(ROM), file=str(path), count=2000))
    done = subprocess.run(
        [micropythons()[name], str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == ["refused", "-4354"], done.stdout + done.stderr
    assert read_nvs(path.read_bytes()) == BLOBS
