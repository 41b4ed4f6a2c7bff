"""`python -m bench.flash_wear [DAYS]`: how long the flash lasts at a working day's writes.

The whole firmware on the simulated flash of tests/flash in virtual time, erases counted by sector;
what a day is says tests/flash/simulator/wear.py. A sector is good for 100,000 erases. `spread` is
the most worn sector over the mean; where no sector was erased, `years` is at least so many. JSON
on the last line and in bench/results/flash_wear.json.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.results import write
from tests.flash.image import compose
from tests.flash.jobs import play

DAYS = 10
CYCLES = 100_000
DAYS_A_YEAR = 365
SEED = 7
PATIENCE_S = 3600


def main(arguments: list[str]) -> int:
    days = int(arguments[0]) if arguments else DAYS
    with tempfile.TemporaryDirectory() as folder:
        image = compose(Path(folder))
        said = play(image, ("wheel", "wear.py", (str(days), str(SEED))), PATIENCE_S)
    result: dict[str, object] = {"days": days}
    for name in ("journal", "nvs"):
        counts: list[int] = said[name]
        most, total = max(counts), sum(counts)
        result[name] = {
            "sectors": len(counts),
            "erases_a_day": round(total / days, 1),
            "most_worn_a_day": round(most / days, 2),
            "spread": round(most * len(counts) / total, 2) if total else None,
            "years": round(CYCLES * days / max(most, 1) / DAYS_A_YEAR, 1),
        }
    write("flash_wear", result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
