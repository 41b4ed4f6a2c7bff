"""`python -m bench.wire`: bytes a fix of the payload, and time, beside other formats.

On the walking track of tests/recorded and on a generated walk, in batches of 12 and 60, with
time, speed, course and accuracy, lossless at 1e-6 degree and at the resolution that each format
has for the rest (bench/wire_formats.py): every field of every fix is compared. Times are ratios to
JSON in the same run. What MQTT, TLS and TCP add is measured at the socket by bench/wire_socket.py.
JSON on the last line and in bench/results/wire.json.
"""

from __future__ import annotations

import functools
import sys
import time
import timeit
from typing import TYPE_CHECKING

from bench import results
from bench.wire_formats import FORMATS, Format
from bench.wire_tracks import RECORDED, generated_walk, recorded_walk
from wire_protocol import frames, track

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire_protocol.track import Fix

BATCHES = (12, 60)
AIM_BYTES = 8
BASE = "JSON (OwnTracks)"
ROUNDS = 40
CALLS = 20


def batches(fixes: list[Fix], size: int) -> list[list[Fix]]:
    return [fixes[at : at + size] for at in range(0, len(fixes), size)]


def bytes_a_fix(form: Format, fixes: list[Fix], size: int) -> float:
    total = 0
    for batch in batches(fixes, size):
        message = form.encode(batch)
        if form.decode(message) != [form.keeps(fix) for fix in batch]:
            sys.exit(f"{form.name} loses something of {batch[0]}")
        total += len(message)
    return total / len(fixes)


def fastest_us(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least CPU time of each call, all in turn, so that a busy machine slows all."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            seconds = timeit.timeit(call, timer=time.process_time, number=CALLS)
            best[name] = min(best[name], seconds / CALLS * 1e6)
    return best


def times(batch: list[Fix]) -> dict[str, float]:
    """Return microseconds for a batch of 60: `NAME encode`, `NAME decode`, and `check` of 12."""
    calls: dict[str, Callable[[], object]] = {}
    for form in FORMATS:
        message = form.encode(batch)
        calls[f"{form.name} encode"] = functools.partial(form.encode, batch)
        calls[f"{form.name} decode"] = functools.partial(form.decode, message)
    record = frames.open_envelope(FORMATS[0].encode(batch[:12]))[1]
    calls["check"] = functools.partial(track.check, record)
    return fastest_us(calls)


def main() -> int:
    if not RECORDED.exists():
        sys.exit(f"the walking track is missing: {RECORDED}")
    walks = {"walking track": recorded_walk(), "generated walk": generated_walk()}
    report: dict[str, dict[str, float]] = {}
    columns = [f"{name}, {size}" for name in walks for size in BATCHES]
    print("bytes a fix, payload" + " " * 6 + "".join(f"{name:>20}" for name in columns))
    for form in FORMATS:
        row = {}
        for name, fixes in walks.items():
            for size in BATCHES:
                row[f"{name}, {size}"] = round(bytes_a_fix(form, fixes, size), 2)
        report[form.name] = row
        print(f"{form.name:26}" + "".join(f"{row[name]:20.2f}" for name in columns))
    print(f"{'time, batches of 60':26}{'encode':>20}{'decode':>20}   (JSON = 1)")
    measured = times(walks["generated walk"][:60])
    for form in FORMATS:
        row = report[form.name]
        for way in ("encode", "decode"):
            ratio = measured[f"{form.name} {way}"] / measured[f"{BASE} {way}"]
            row[f"{way}_to_json"] = round(ratio, 2)
        print(f"{form.name:26}{row['encode_to_json']:20.2f}{row['decode_to_json']:20.2f}")
    print(f"track.check of 12 fixes, as the gateway does it: {measured['check']:.1f} us")
    aims = {
        f"{name}.payload_bytes_a_fix": results.judged(report["xunhu"][name], at_most=AIM_BYTES)
        for name in columns
        if name.endswith("60")
    }
    check_us = round(measured["check"], 2)
    results.write("wire", {"check_12_us": check_us, "formats": report, "aims": aims})
    return 0


if __name__ == "__main__":
    sys.exit(main())
