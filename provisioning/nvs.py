"""The identity and the settings of one device as an NVS partition image (ESP-IDF's format)."""

import base64
import binascii
import io
import struct
from collections.abc import Iterator, Mapping

from esp_idf_nvs_partition_gen import nvs_partition_gen  # type: ignore[import-untyped]

from provisioning.errors import ImageError
from provisioning.partitions import partition

NAMESPACE = "xunhu"
# The device reads each blob into one buffer of this size (firmware/boards/chip/identity.py).
BLOB_BYTES_MAX = 3072
# Blobs over several pages; what ESP-IDF 5 writes itself.
_PAGES_VERSION = nvs_partition_gen.Page.VERSION2

_ENTRIES = 126
_WRITTEN = 2
_BLOB_PART = 0x42


def compose_nvs(blobs: Mapping[str, bytes]) -> bytes:
    """Return the partition `nvs` with these blobs in the namespace `xunhu`.

    Raises:
        ImageError: A blob is empty, too long, or they do not fit together.
    """
    for key, value in blobs.items():
        if not 0 < len(value) <= BLOB_BYTES_MAX:
            raise ImageError(f"NVS {key}: {len(value)} bytes, 1 to {BLOB_BYTES_MAX} can be")
    target = io.BytesIO()
    size = partition("nvs").size
    try:
        # The generator counts the last page as its reserve only if it gets the size without it.
        with nvs_partition_gen.nvs_open(target, size - 0x1000, _PAGES_VERSION) as writer:
            nvs_partition_gen.write_entry(writer, NAMESPACE, "namespace", "", "")
            for key, value in blobs.items():
                text = base64.b64encode(value).decode()
                nvs_partition_gen.write_entry(writer, key, "data", "base64", text)
    except (
        nvs_partition_gen.InputError,
        nvs_partition_gen.PageFullError,
        nvs_partition_gen.InsufficientSizeError,
    ) as error:
        total = sum(len(value) for value in blobs.values())
        raise ImageError(
            f"{total} bytes of identity and settings do not fit NVS: {error}"
        ) from error
    content = target.getvalue()
    if len(content) > size:
        raise ImageError(f"NVS image of {len(content)} bytes, its partition has {size}")
    return content.ljust(size, b"\xff")


def read_nvs(image: bytes) -> dict[str, bytes]:
    """Return the blobs of an NVS partition that `compose_nvs` made; no other namespace is there.

    Raises:
        ImageError: An entry fails its checksum.
    """
    parts: dict[str, list[tuple[int, bytes]]] = {}
    for page_at in range(0, len(image), 0x1000):
        page = image[page_at : page_at + 0x1000]
        if page[0] == 0xFF:  # Never used.
            continue
        for kind, chunk, key, data in _entries(page):
            if kind == _BLOB_PART:
                parts.setdefault(key, []).append((chunk, data))
    return {key: b"".join(data for _, data in sorted(found)) for key, found in parts.items()}


def _entries(page: bytes) -> Iterator[tuple[int, int, str, bytes]]:
    number = 0
    while number < _ENTRIES:
        span = 1
        if page[32 + number // 4] >> (2 * (number % 4)) & 3 == _WRITTEN:
            at = 64 + 32 * number
            _, kind, span, chunk = page[at : at + 4]
            data = page[at + 24 : at + 32]
            if kind == _BLOB_PART:
                length, _, checksum = struct.unpack("<HHI", data)
                data = page[at + 32 : at + 32 + length]
                if binascii.crc32(data, 0xFFFFFFFF) != checksum:
                    raise ImageError(f"NVS entry {number} fails its checksum")
            yield kind, chunk, page[at + 8 : at + 24].split(b"\0")[0].decode(), data
        number += max(1, span)
