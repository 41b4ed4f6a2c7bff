"""What the simulator is asked to do: in `make test` a little of everything, in `make soak` all."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from tests.flash.image import command, environment
from tests.wire_protocol.interpreters import micropythons

if TYPE_CHECKING:
    from pathlib import Path

SCENES = (
    "first_start", "duty_and_walk", "sos", "sos_online", "cancel", "orders", "receipts", "full",
    "dropped_named",
)  # fmt: skip
FULL_SCENES = ("full", "dropped_named")
TEST_SCENES = (
    ("first_start", "7"), ("duty_and_walk", "7"), ("sos", "9"), ("sos_online", "9"),
    ("cancel", "9"),
)  # fmt: skip
SOAK_LIVES = 11_000  # Cuts of each of four; with the scenes 50,000 and more.
SOAK_SEED = 100_000  # Not those of `make test`.

Job = tuple[str, str, tuple[str, ...]]  # Name of a MicroPython, script, arguments.


def test_jobs() -> list[Job]:
    """Return some hundred cuts: a few operations of each scene, the rest in lives."""
    jobs: list[Job] = [
        ("wheel", "lives.py", ("usual", "1", "120")),
        ("1.25", "lives.py", ("full", "1001", "80")),
    ]
    for number, (scene, step) in enumerate(TEST_SCENES):
        name = ("wheel", "1.25")[number % 2]
        jobs.append((name, "each_operation.py", (scene, str(number), step)))
    return jobs


def soak_jobs(number: int) -> list[Job]:
    """Return 50,000 cuts and more, other ones for each number."""
    seed = SOAK_SEED * (number + 1)
    jobs: list[Job] = []
    for name in ("wheel", "1.25"):
        jobs += [(name, "each_operation.py", (scene, str(seed), "1")) for scene in SCENES]
        for kind in ("usual", "full"):
            seed += SOAK_SEED // 10
            jobs.append((name, "lives.py", (kind, str(seed), str(SOAK_LIVES))))
    return jobs


def play(image: Path, job: Job, patience_s: int) -> dict[str, Any]:
    """Run one job on an image; returns what it says at its end, AssertionError if it fails."""
    name, script, arguments = job
    done = subprocess.run(
        command(micropythons()[name], image, script, *arguments), env=environment(image),
        capture_output=True, text=True, timeout=patience_s, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (
        f"{name}: {script} {' '.join(arguments)}\n" + "\n".join(lines[-40:]) + done.stderr[-2000:]
    )
    return dict(json.loads(lines[-1]))
