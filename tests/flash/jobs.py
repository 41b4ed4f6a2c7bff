"""What the simulator is asked to do: in `make test` a little of everything, in `make soak` all."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from tests.flash.image import command, environment
from tests.wire_protocol.interpreters import micropythons

if TYPE_CHECKING:
    from pathlib import Path

# Name -> each which operation of it is cut in `make test`.
SCENES = {
    "full": "6", "dropped_named": "3", "receipts": "1", "rolled_back": "1", "configure": "1",
    "sos_online": "1", "orders": "1", "cancel": "1", "sos": "1", "duty_and_walk": "1",
    "first_start": "1",
}  # fmt: skip
RESCUES = {
    "no_application": "3", "failed_starts": "3", "spoiled_journal": "1", "mounts_again": "6",
    "unsealed": "7",
}  # fmt: skip
TEST_LIVES = (("wheel", "usual", "1"), ("1.25", "usual", "501"), ("1.25", "full", "1001"))
TEST_LIVES_CUTS = "760"
# A flash that fails (ill_flash.py): three lives in each way, in each of two MicroPythons.
TEST_FAILING = (("wheel", "1"), ("1.25", "501"))
TEST_FAILING_LIVES = "36"
# Lives that the firmware, or what is asked of it, once did not pass.
FAILED_BEFORE = (("1.25", "140275", "passing_reads"), ("wheel", "120156", "bad_sector"))
SOAK_FAILING_LIVES = "1200"
SOAK_LIVES = 11_000  # Cuts of each of four; with the scenes 50,000 and more.
SOAK_SEED = 100_000  # Not those of `make test`.

Job = tuple[str, str, tuple[str, ...]]  # Name of a MicroPython, script, arguments.


def test_jobs() -> list[Job]:
    """Return five thousand cuts: the operations of each scene, the rest in lives; failures."""
    jobs: list[Job] = [
        (name, "lives.py", (kind, seed, TEST_LIVES_CUTS)) for name, kind, seed in TEST_LIVES
    ]
    for number, (scene, step) in enumerate(SCENES.items()):
        name = ("wheel", "1.25")[number % 2]
        jobs.append((name, "each_operation.py", (scene, str(number), step)))
    jobs += [("wheel", "rescues.py", (scene, "1", step)) for scene, step in RESCUES.items()]
    jobs += [(name, "failures.py", (seed, TEST_FAILING_LIVES)) for name, seed in TEST_FAILING]
    jobs += [(name, "failures.py", (seed, "1", way)) for name, seed, way in FAILED_BEFORE]
    return jobs


def soak_jobs(number: int) -> list[Job]:
    """Return 50,000 cuts and more, and failures; other ones for each number."""
    seed = SOAK_SEED * (number + 1)
    jobs: list[Job] = []
    for name in ("wheel", "1.25"):
        jobs += [(name, "each_operation.py", (scene, str(seed), "1")) for scene in SCENES]
        jobs += [(name, "rescues.py", (scene, str(seed), "1")) for scene in RESCUES]
        for kind in ("usual", "full"):
            seed += SOAK_SEED // 10
            jobs.append((name, "lives.py", (kind, str(seed), str(SOAK_LIVES))))
        jobs.append((name, "failures.py", (str(seed), SOAK_FAILING_LIVES)))
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
