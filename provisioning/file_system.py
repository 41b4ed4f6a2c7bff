"""littlefs images that MicroPython's VfsLfs2 mounts."""

from collections.abc import Mapping

import littlefs

from provisioning.errors import ImageError

# On-disk version of the littlefs in MicroPython; a newer one is refused by older readers.
_DISK_VERSION = 0x00020000
# As VfsLfs2 has them: its cache bounds what it can read of a file kept inside its directory.
_READ_BYTES = _PROGRAM_BYTES = 32
_CACHE_BYTES = 128


def make_file_system(files: Mapping[str, bytes], size: int, block_bytes: int) -> bytes:
    """Return a littlefs image; the same files always give the same bytes.

    Args:
        files: Content by path, such as `device/start.mpy`; folders are made as needed.
        size: Bytes of the partition, a multiple of `block_bytes`.
        block_bytes: The erase block that the reader uses.

    Raises:
        ImageError: The files do not fit.
    """
    image = _open(size, block_bytes)
    image.format()
    image.mount()
    try:
        for path in sorted(files):
            folder = path.rpartition("/")[0]
            if folder:
                image.makedirs(folder, exist_ok=True)
            with image.open(path, "wb") as file:
                file.write(files[path])
    except (littlefs.LittleFSError, OSError) as error:
        total = sum(len(content) for content in files.values())
        raise ImageError(
            f"{len(files)} files of {total} bytes do not fit {size} bytes: {error}"
        ) from error
    return bytes(image.context.buffer)


def read_file_system(image: bytes, block_bytes: int) -> dict[str, bytes]:
    """Return every file of a littlefs image by its path.

    Raises:
        ImageError: There is no file system in it.
    """
    system = _open(len(image), block_bytes)
    system.context.buffer[:] = image
    files = {}
    try:
        system.mount()
        for folder, _, names in system.walk("/"):
            for name in names:
                path = f"{folder}/{name}".lstrip("/")
                with system.open(path, "rb") as file:
                    files[path] = file.read()
    except (littlefs.LittleFSError, OSError) as error:
        raise ImageError(f"no littlefs with blocks of {block_bytes} bytes: {error}") from error
    return files


def _open(size: int, block_bytes: int) -> littlefs.LittleFS:
    return littlefs.LittleFS(
        block_size=block_bytes,
        block_count=size // block_bytes,
        read_size=_READ_BYTES,
        prog_size=_PROGRAM_BYTES,
        cache_size=_CACHE_BYTES,
        lookahead_size=32,
        disk_version=_DISK_VERSION,
        mount=False,
    )
