"""The real MicroPythons of this machine, and how the tests run a script in one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
VECTORS = REPOSITORY / "tests" / "vectors"


def _found(variable: str, name: str) -> str | None:
    beside = os.pathsep.join((str(Path(sys.executable).parent), str(REPOSITORY / ".tools/bin")))
    return os.environ.get(variable) or shutil.which(name, path=beside) or shutil.which(name)


def micropythons() -> dict[str, str]:
    """Return name -> program: the wheel's, which must be there, and Debian's 1.25 where it is."""
    found = {
        "wheel": _found("XUNHU_MICROPYTHON", "micropython"),
        "1.25": _found("XUNHU_MICROPYTHON_125", "micropython-1.25"),
        "1.25-i386": _found("XUNHU_MICROPYTHON_I386", "micropython-1.25-i386"),
    }
    programs = {name: program for name, program in found.items() if program}
    assert "wheel" in programs, "no micropython beside python or on the path: run `make setup`"
    return programs


def run_script(program: str, script: Path, *arguments: str, timeout_s: int = 120) -> str:
    """Run a script in a MicroPython that imports from the checkout; return what it printed."""
    process = subprocess.run(
        [program, str(script), *arguments],
        env={"MICROPYPATH": f"{REPOSITORY}:{REPOSITORY / 'firmware'}:.frozen"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-4000:] + process.stderr[-4000:]
    return process.stdout
