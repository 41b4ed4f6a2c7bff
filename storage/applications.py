"""Applications for devices: one signed file for each board and release, served by the gateways.

FOLDER/<board>/<release>.app holds `XAPP | manifest bytes u32 | manifest | slot image`; manifest
and blocks as in `wire_protocol.blocks`. A file appears whole and is never changed. Whoever signs
it is `provisioning.releases`; a device believes nothing but the signature.
"""

import hashlib
import os
import secrets
import struct
from functools import lru_cache
from pathlib import Path

from storage.errors import StorageError
from wire_protocol import blocks
from wire_protocol.errors import WireError

MAGIC = b"XAPP"
SUFFIX = ".app"
FILE_BYTES_MAX = blocks.BLOCKS_MAX * blocks.BLOCK_BYTES + blocks.MANIFEST_BYTES_MAX + 8
_KEPT_OPEN = 8  # Releases in memory, 120 KB each: of every board today's and the one before.


def pack(manifest: bytes, slot: bytes) -> bytes:
    """Return the content of a file; StorageError if manifest and slot do not belong together."""
    content = MAGIC + struct.pack("<I", len(manifest)) + manifest + slot
    unpack(content)
    return content


def unpack(content: bytes) -> tuple[blocks.Manifest, bytes, bytes]:
    """Return (parsed manifest, manifest, slot image) of a file.

    Raises:
        StorageError: It is no such file, or damaged.
    """
    if content[:4] != MAGIC or not 8 < len(content) <= FILE_BYTES_MAX:
        raise StorageError(f"{len(content)} bytes are no application file")
    size = struct.unpack_from("<I", content, 4)[0]
    manifest, slot = content[8 : 8 + size], content[8 + size :]
    try:
        parsed, _, _ = blocks.parse_manifest(manifest)
    except WireError as error:
        raise StorageError(f"application file: {error}") from error
    if len(slot) != len(parsed.digests) * blocks.BLOCK_BYTES:
        raise StorageError(f"slot of {len(slot)} bytes, {len(parsed.digests)} blocks promised")
    if hashlib.sha256(slot).digest() != parsed.digest:
        raise StorageError(f"release {parsed.release}: the slot is not the one of its manifest")
    return parsed, manifest, slot


class ApplicationStore:
    """The folder; any number of processes may read it while one publishes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(self, content: bytes) -> blocks.Manifest:
        """Keep a file; returns its manifest.

        Raises:
            StorageError: It is damaged, not newer than what is here, or cannot be written.
        """
        manifest, _, _ = unpack(content)
        newest = self.newest(manifest.board)
        if manifest.release <= newest:
            raise StorageError(
                f"release {manifest.release} for {manifest.board} is not above {newest}"
            )
        path = self._path(manifest.board, manifest.release)
        unfinished = path.with_suffix(f".{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise StorageError(f"cannot write {path}: {error}") from error
        return manifest

    def boards(self) -> list[str]:
        """Return the boards that something was published for."""
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if path.is_dir())

    def releases(self, board: str) -> list[int]:
        """Return what was published for a board, oldest first."""
        names = (path.stem for path in (self._folder / board).glob(f"*{SUFFIX}"))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def newest(self, board: str) -> int:
        """Return the newest release for a board, 0 if there is none."""
        return max(self.releases(board), default=0)

    def read(self, board: str, release: int, block: int) -> bytes:
        """Return a block of a release, or its manifest (`blocks.MANIFEST`).

        Raises:
            StorageError: There is no such release or block; the reason is for the device.
        """
        path = self._path(board, release)
        try:
            manifest, slot = _load(path, path.stat().st_mtime_ns)
        except OSError as error:
            raise StorageError(f"no release {release} for {board}") from error
        if block == blocks.MANIFEST:
            return manifest
        found = slot[block * blocks.BLOCK_BYTES : (block + 1) * blocks.BLOCK_BYTES]
        if len(found) != blocks.BLOCK_BYTES:
            raise StorageError(f"release {release} has no block {block}")
        return found

    def _path(self, board: str, release: int) -> Path:
        return self._folder / board / f"{release}{SUFFIX}"


@lru_cache(maxsize=_KEPT_OPEN)
def _load(path: Path, _changed_ns: int) -> tuple[bytes, bytes]:
    """Return (manifest, slot) as they are: it is the device that checks every byte of them."""
    content = path.read_bytes()
    size = struct.unpack_from("<I", content, 4)[0] if len(content) > 8 else 0
    return content[8 : 8 + size], content[8 + size :]
