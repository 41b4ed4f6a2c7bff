"""`python -m bench.journal_cuts [ROUNDS]`: power cuts in the journal's writes, thousands of them.

A working journal on littlefs loses its power in the middle of each of its writes in turn, in the
oldest and in the newest MicroPython; after each cut everything sealed must be there, receipted or
named as dropped, and no seq given twice. JSON on the last line and in
bench/results/journal_cuts.json.
"""

from __future__ import annotations

import json
import subprocess
import sys

from bench.results import write
from tests.device.device_rig import SCRIPTS
from tests.wire_protocol.interpreters import REPOSITORY, micropythons

ROUNDS = 5  # Of some 1,200 writes each, in each MicroPython: more than ten thousand cuts.


def main(arguments: list[str]) -> int:
    rounds = int(arguments[0]) if arguments else ROUNDS
    cuts = failed = 0
    for seed in range(rounds):
        for name in ("wheel", "1.25"):
            done = subprocess.run(
                [micropythons()[name], "-X", "heapsize=16M", str(SCRIPTS / "journal_cuts.py"),
                 "1", str(seed)],
                env={"MICROPYPATH": f"{REPOSITORY}:{REPOSITORY / 'firmware'}:{SCRIPTS}:.frozen"},
                capture_output=True, text=True, timeout=3600, check=False,
            )  # fmt: skip
            last = (done.stdout.splitlines() or [""])[-1]
            if done.returncode == 0:
                cuts += json.loads(last)["cuts"]
            else:
                failed += 1
                print(done.stdout[-2000:], done.stderr[-2000:])
            print(f"round {seed}, {name}: {last}", flush=True)
    write("journal_cuts", {"cuts": cuts, "rounds_failed": failed})
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
