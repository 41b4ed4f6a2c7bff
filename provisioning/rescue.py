"""The rescue agent of one board, as what the partition `vfs` holds of it.

Linked from `firmware/rescue` and from what it shares with the application, so that there is one
source of both. Kept as source, because it must outlive every MicroPython that an update can bring;
compressed in one file (firmware/packed.py), because a file takes a block of 4096 bytes at least.
"""

import json
import re
import zlib
from functools import lru_cache

from provisioning.application import FIRMWARE, built_s, link_rescue

_WINDOW_BITS = 10  # Of zlib: 1 KB of the chip's heap while a module is read.
_INDENT = 4


@lru_cache(maxsize=8)
def rescue_files(board: str) -> dict[str, bytes]:
    """Return the files of a board's rescue agent by their path in `vfs`.

    Raises:
        ImageError: There is no such board, or the agent cannot be linked.
    """
    modules = link_rescue(board).modules
    # Empty ones are packages: there is no `__init__` of them, which MicroPython does not miss.
    sources = {
        f"{name.replace('.', '/')}.py": _compact(text) for name, text in modules.items() if text
    }
    version = (FIRMWARE / "VERSION").read_text().strip()
    build = {"version": version, "board": board, "built_s": built_s()}
    return {
        "rescue.pack": _pack(sources),
        "rescue.json": json.dumps(build, separators=(",", ":")).encode(),
    }


def _pack(sources: dict[str, bytes]) -> bytes:
    index, contents = "", b""
    for path, source in sorted(sources.items()):
        index += f" {path} {len(contents)}"
        packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW_BITS)
        contents += packer.compress(source) + packer.flush()
    return f"{index} \n".encode() + contents


def _compact(source: str) -> bytes:
    """Indent by one space: fewer bytes to read for the chip's compiler."""
    return re.sub(
        r"^( +)", lambda found: " " * (len(found[1]) // _INDENT), source, flags=re.M
    ).encode()
