"""The partition table: the one of DESIGN 9, as ESP-IDF's boot loader checks it."""

import pytest

from provisioning.errors import ImageError
from provisioning.partitions import (
    BLOCK_BYTES,
    FLASH_BYTES,
    TABLE,
    TABLE_BYTES,
    parse_table,
    table_bytes,
)

# Written down once more on purpose: a fielded terminal cannot be repartitioned.
FINAL = {
    "nvs": (1, 0x02, 0x9000, 0x4000),
    "otadata": (1, 0x00, 0xD000, 0x2000),
    "phy_init": (1, 0x01, 0xF000, 0x1000),
    "ota_0": (0, 0x10, 0x10000, 0x1B0000),
    "ota_1": (0, 0x11, 0x1C0000, 0x1B0000),
    "vfs": (1, 0x81, 0x370000, 0x18000),
    "app_a": (1, 0x83, 0x388000, 0x1C000),
    "app_b": (1, 0x83, 0x3A4000, 0x1C000),
    "journal": (1, 0x83, 0x3C0000, 0x40000),
}


def test_the_table_is_the_final_one():
    rows = parse_table(table_bytes())
    assert {row.label: (row.kind, row.subtype, row.address, row.size) for row in rows} == FINAL
    assert rows == TABLE


def test_partitions_fill_the_flash_without_a_gap():
    end = 0x9000
    for row in TABLE:
        assert row.address == end
        assert row.size % BLOCK_BYTES == 0
        end = row.end
    assert end == FLASH_BYTES


def test_applications_stand_where_the_chip_can_map_them():
    for row in TABLE:
        assert row.kind == 1 or row.address % 0x10000 == 0


def test_the_table_has_the_size_of_its_sector():
    assert len(table_bytes()) == TABLE_BYTES


@pytest.mark.parametrize(
    ("at", "says"), [(0, "begins with"), (5, "MD5 is wrong"), (9 * 32 + 16, "MD5 is wrong")]
)
def test_a_flipped_bit_is_found(at: int, says: str):
    raw = bytearray(table_bytes())
    raw[at] ^= 1
    with pytest.raises(ImageError, match=says):
        parse_table(bytes(raw))


def test_a_table_cut_short_is_refused():
    with pytest.raises(ImageError, match="no MD5"):
        parse_table(table_bytes()[: 5 * 32])
