"""The tightest thing of the firmware, held where every change is tested."""

import pytest

from bench.firmware import free_heap
from hil_tests.small_chip import FREE_BYTES_MIN, small_chip


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    return small_chip(tmp_path_factory.mktemp("chip"))


@pytest.mark.parametrize("kind", ["terminal", "sensor_node", "rescue"])
def test_48_kib_of_heap_are_free_with_the_link_up(kind, chip, tmp_path):
    free = free_heap(chip, tmp_path, kind)
    assert free >= FREE_BYTES_MIN, f"{kind}: {free} bytes are free, {FREE_BYTES_MIN} wanted"
