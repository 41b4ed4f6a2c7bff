"""The device's decisions, on CPython and in every real MicroPython."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.device.cases import domain
from tests.wire_protocol.interpreters import REPOSITORY, micropythons

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("name", domain.CASES)
def test_on_cpython(name):
    getattr(domain, name)()


@pytest.mark.parametrize("version", sorted(micropythons()))
def test_every_case_in_micropython(version):
    path = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "firmware"), str(CASES), ".frozen"))
    done = subprocess.run(
        [micropythons()[version], str(CASES / "run_cases.py")],
        env={"MICROPYPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[-2:] == [str(len(domain.CASES)), "cases"]
