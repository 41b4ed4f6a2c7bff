"""`python -m bench.nmea`: each receiver's log through the firmware's parser in MicroPython.

Prints, for each log, the rows of gpsd's table that were reproduced (time to 1 ms, both coordinates
to 1e-6 degree), those missing, and the fixes that match no row; beside it how fast. JSON on the
last line and in bench/results/nmea.json.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench import results
from bench.nmea_truth import FEED, LOGS, REPOSITORY, compare, logs

EXTRA_MAX = 0  # A fix that gpsd's table does not have.
SEED = 20_260


def micropython() -> str:
    beside = str(Path(sys.executable).parent)
    program = os.environ.get("XUNHU_MICROPYTHON")
    program = program or shutil.which("micropython", path=beside) or shutil.which("micropython")
    if not program:
        sys.exit("no micropython beside python or on the path: run `make setup`")
    return program


def main() -> int:
    if not logs():
        sys.exit(f"no logs of receivers in {LOGS}")
    program = micropython()
    version = subprocess.run(
        [program, "-c", "import sys; print(sys.version)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    print(f"firmware/device/domain/nmea.py in {version}, slices of 1..300 bytes, seed {SEED}")
    print(f"{'log':24}{'rows':>6}{'reproduced':>12}{'missing':>9}{'extra':>7}{'kB/s':>7}")
    report = {}
    for log in logs():
        printed = subprocess.run(
            [program, str(FEED), str(log), str(SEED), "0"],
            env={"MICROPYPATH": f"{REPOSITORY / 'firmware'}:.frozen"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        outcome = compare(log, printed)
        rate = outcome.counters["bytes"] / 1000 / max(outcome.counters["seconds"], 1e-6)
        print(
            f"{log.stem:24}{outcome.rows:6}{outcome.reproduced:12}"
            f"{len(outcome.missing):9}{len(outcome.extra):7}{rate:7.0f}"
        )
        for fix in outcome.extra:
            print(f"    no row for {fix}")
        for row in outcome.missing:
            print(f"    no fix for {row}")
        report[log.stem] = {
            "rows": outcome.rows,
            "reproduced": outcome.reproduced,
            "extra": len(outcome.extra),
            "kb_s": round(rate),
        }
    total = {
        key: sum(item[key] for item in report.values()) for key in ("rows", "reproduced", "extra")
    }
    print(
        f"all: {total['reproduced']} of {total['rows']} rows, {total['extra']} fixes without a row"
    )
    aims = {
        "reproduced": results.judged(total["reproduced"], at_least=total["rows"]),
        "extra": results.judged(total["extra"], at_most=EXTRA_MAX),
    }
    results.write("nmea", {"micropython": version, "all": total, "logs": report, "aims": aims})
    return 0


if __name__ == "__main__":
    sys.exit(main())
