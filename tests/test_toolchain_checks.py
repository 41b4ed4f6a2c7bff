"""The checks of tools/: what each refuses and what it lets pass."""

import json
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tools"))

import check_bytecode  # noqa: E402
import check_integers  # noqa: E402
import check_purity  # noqa: E402
from check_device_names import Names  # noqa: E402

HERE = REPOSITORY / "wire_protocol" / "planted.py"
TABLE = json.loads((REPOSITORY / "firmware" / "esp32_names.json").read_text())


@pytest.mark.parametrize(
    "source",
    [
        "x = 0.5", "x = 1e3", "x = float(y)", "x = a / b", "x /= 2", "x = 2j", "import math",
        "from math import floor", "f = map(float, y)",
    ],
)  # fmt: skip
def test_a_float_is_refused(source):
    assert len(list(check_integers.breaches(source, HERE))) == 1


@pytest.mark.parametrize(
    "source", ["x = a // b", "x = 'a / b 0.5'", "x = 10 ** 6", "x = json.loads(y)", "x //= 2"]
)
def test_whole_numbers_pass(source):
    assert not list(check_integers.breaches(source, HERE))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os\nos.fsync(f)", "os has no fsync on the chip"),
        ("import zlib", "the chip has no module zlib"),
        ("import unittest as u", "the chip has no module unittest"),
        ("import vfs\nvfs.VfsRom", "vfs has no VfsRom on the chip"),
        ("import vfs as v\nv.VfsPosix()", "vfs has no VfsPosix on the chip"),
        ("from vfs import rom_ioctl", "vfs has no rom_ioctl on the chip"),
        ("from time import monotonic as now", "time has no monotonic on the chip"),
        ("import vfs\nvfs.VfsLfs2.format", "vfs.VfsLfs2 has no format on the chip"),
        ("from vfs import VfsLfs2 as V\nV.format", "V has no format on the chip"),
        ("raise TimeoutError", "the chip has no built-in TimeoutError"),
        ("def f():\n    import hmac", "the chip has no module hmac"),
        ("try:\n    import zlib\nexcept OSError:\n    pass", "the chip has no module zlib"),
    ],
)  # fmt: skip
def test_a_name_that_the_chip_lacks_is_refused(source, reason):
    assert [found for _, found in Names(TABLE, {"device"}).breaches(source)] == [reason]


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.sync()",
        "from device.errors import PeerError",
        "from machine import Pin\nPin.IN",
        "import asyncio\nasyncio.sleep_ms(5)\nasyncio.StreamReader",
        "try:\n    from typing import Any\nexcept ImportError:\n    pass",
        "TimeoutError = OSError\nraise TimeoutError",
        "def f(input):\n    return input",
        "print(len(bytes(3)))",
    ],
)
def test_names_that_the_chip_has_pass(source):
    assert not list(Names(TABLE, {"device"}).breaches(source))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os", "imports os"),
        ("from device import settings", "imports device.settings"),
        ("import device.adapters.clock", "imports device.adapters.clock"),
        ("def f():\n    import socket", "imports socket"),
        ("open('x')", "calls open"),
        ("print(1)", "calls print"),
    ],
)
def test_what_touches_the_world_is_refused(source, reason):
    assert [found for _, found in check_purity.breaches(source, {"json", "device.errors"})] == [
        reason
    ]


@pytest.mark.parametrize(
    "source",
    [
        "from device import errors",
        "from device.errors import PeerError",
        "import json",
        "f.open()",
    ],
)
def test_what_decides_only_passes(source):
    assert not list(check_purity.breaches(source, {"json", "device.errors"}))


@pytest.mark.parametrize(
    "source",
    [
        "@micropython.viper\ndef f(x: int) -> int:\n    return x + 1",
        "@micropython.native\ndef f(x):\n    return x",
        "match x:\n    case 1:\n        pass",
        "def f(:",
    ],
    ids=["viper", "native", "match", "syntax"],
)
def test_what_is_no_bytecode_for_every_processor_is_refused(tmp_path, monkeypatch, source):
    monkeypatch.setattr(check_bytecode, "shown", str)
    path = tmp_path / "planted.py"
    path.write_text(source)
    assert check_bytecode.error_of(path)
    path.write_text("def f(x):\n    return x")
    assert check_bytecode.error_of(path) == ""
