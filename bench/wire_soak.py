"""`python -m bench.wire_soak [COUNT] [SEED]`: mutated frames, a million of them.

Ends with a traceback and the guilty bytes if a parser raises anything but WireError. JSON on the
last line and in bench/results/wire_soak.json.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench.results import write
from tests.wire_protocol import mutated

VECTORS = Path(__file__).resolve().parents[1] / "tests" / "vectors"
COUNT = 1_000_000
SEED = 20_260


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else COUNT
    seed = int(arguments[1]) if len(arguments) > 1 else SEED
    begin = time.monotonic()
    refused = mutated.run(str(VECTORS), count, seed)
    seconds = round(time.monotonic() - begin, 1)
    print(f"{refused} of {count} mutated frames refused, the others parsed, in {seconds} s")
    write("wire_soak", {"frames": count, "refused": refused, "seed": seed, "seconds": seconds})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
