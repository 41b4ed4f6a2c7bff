"""The device's decisions, on CPython and in every real MicroPython."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.device.cases import domain, lean
from tests.wire_protocol.interpreters import REPOSITORY, VECTORS, micropythons

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("name", domain.CASES)
def test_on_cpython(name):
    getattr(domain, name)()


def run_in_micropython(version, *arguments):
    path = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "firmware"), str(CASES), ".frozen"))
    done = subprocess.run(
        [micropythons()[version], *arguments],
        env={"MICROPYPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("version", sorted(micropythons()))
def test_every_case_in_micropython(version):
    said = run_in_micropython(version, str(CASES / "run_cases.py"))
    assert said[-2:] == [str(len(domain.CASES)), "cases"]


def test_a_device_takes_and_refuses_what_the_golden_vectors_say():
    assert lean.check(str(VECTORS / "messages.json")) > 100


@pytest.mark.parametrize("version", sorted(micropythons()))
def test_a_device_takes_and_refuses_the_same_in_micropython(version):
    script, vectors = str(CASES / "lean.py"), VECTORS / "messages.json"
    said = run_in_micropython(version, script, str(vectors))
    assert said == [str(lean.check(str(vectors))), "vectors"]
