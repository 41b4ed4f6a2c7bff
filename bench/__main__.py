"""`python -m bench [soak] [NAME...]`: runs benches one after the other, all or the named ones.

Each is a program of its own, `python -m bench.NAME`, and ends with its result as JSON on its last
line. Here the last line holds the results of all, by name; a bench that failed has the reason
instead, and the exit status is 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

# In the order of the README; each measures beside something that is known.
BENCHES = ("wire", "nmea", "wire_socket", "storage", "gateway")
SOAKS = ("wire_soak",)


def main(arguments: list[str]) -> int:
    known = SOAKS if arguments[:1] == ["soak"] else BENCHES
    names = [name for name in arguments if name != "soak"] or known
    unknown = sorted(set(names) - set(BENCHES + SOAKS))
    if unknown:
        print(f"no bench {unknown[0]!r}; there are {', '.join(BENCHES + SOAKS)}", file=sys.stderr)
        return 2
    results = {}
    for name in names:
        print(f"== {name}", flush=True)
        begin = time.monotonic()
        results[name] = run(name)
        print(f"== {name}: {time.monotonic() - begin:.0f} s", flush=True)
    print(json.dumps(results))
    return any("failed" in result for result in results.values())


def run(name: str) -> dict[str, object]:
    """Run one bench, show what it prints, return its last line."""
    last = ""
    with subprocess.Popen(
        [sys.executable, "-m", f"bench.{name}"], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line
    if process.returncode != 0:
        return {"failed": f"exit status {process.returncode}"}
    try:
        return json.loads(last)
    except json.JSONDecodeError:
        return {"failed": "its last line is no JSON"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
