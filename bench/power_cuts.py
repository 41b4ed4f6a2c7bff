"""`python -m bench.power_cuts [ROUNDS]`: power cuts under the whole firmware, tens of thousands.

Each operation of each scene cut in every way, and lives of devices that lose their power again and
again, in the oldest and in the newest MicroPython (tests/flash). After each cut everything sealed
must arrive once or be named as dropped. Beside them lives on a flash that fails. JSON on the last
line and in bench/results/power_cuts.json; a job that fails prints the line that cuts there again.
"""

from __future__ import annotations

import concurrent.futures
import os
import sys
import tempfile
from pathlib import Path

from bench.results import write
from tests.flash.image import compose
from tests.flash.jobs import play, soak_jobs

ROUNDS = 1
PATIENCE_S = 3600


def main(arguments: list[str]) -> int:
    rounds = int(arguments[0]) if arguments else ROUNDS
    cuts = failing = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        image = compose(Path(folder))
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            jobs = [job for number in range(rounds) for job in soak_jobs(number)]
            asked = {pool.submit(play, image, job, PATIENCE_S): job for job in jobs}
            for done in concurrent.futures.as_completed(asked):
                job = asked[done]
                try:
                    said = done.result()
                    cuts += said.get("cuts", 0)
                    failing += said.get("failing", 0)
                except AssertionError as error:
                    failed += 1
                    said = {"failed": str(error)[-3000:]}
                print(*job, said, flush=True)
    write("power_cuts", {"cuts": cuts, "failing": failing, "failures": failed})
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
