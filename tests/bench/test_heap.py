"""The tightest thing of the firmware, held where every change is tested."""

import pytest

from bench.firmware import FREE_BYTES_MIN, HEAP_BYTES, free_heap, rom_share
from tests.wire_protocol.interpreters import micropythons


@pytest.fixture(scope="module")
def program():
    found = micropythons().get("1.25-i386")
    assert found, "no 32-bit MicroPython 1.25: run `make setup`"
    return found


@pytest.fixture(scope="module")
def heap_bytes(program, tmp_path_factory):
    """What the chip leaves, and what the modules take that play the chip."""
    return HEAP_BYTES + rom_share(program, tmp_path_factory.mktemp("rom"))


@pytest.mark.parametrize("kind", ["terminal", "sensor_node", "rescue"])
def test_48_kib_of_heap_are_free_with_the_link_up(kind, program, heap_bytes, tmp_path):
    free = free_heap(program, tmp_path, kind, heap_bytes)
    assert free >= FREE_BYTES_MIN, f"{kind}: {free} bytes are free, {FREE_BYTES_MIN} wanted"
