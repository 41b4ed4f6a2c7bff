"""`python -m bench.storage [FIXES]`: what both telemetry stores and both registries take and give.

1,436 devices, batches of 12 in shuffled order, written by 2,000 as the gateway does. Beside
SQLite, in the same run, the plain way: a row a fix with the same key, index and pragmas. InfluxDB
and PostgreSQL where they are there. JSON on the last line and in bench/results/storage.json.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from bench.wire_tracks import generated_walk
from storage.registry.cursors import Advance, advance_cursors
from storage.registry.ingest import store_event
from storage.registry.session import Registry, migrate, open_registry
from storage.settings import Settings
from storage.telemetry.influx import LINES_AT_ONCE_MAX
from storage.telemetry.influx_lines import track_lines
from storage.telemetry.interface import Telemetry, TrackRow
from storage.telemetry.open import open_telemetry
from tests.storage.batches import sos_record
from tests.storage.influx_server import InfluxProcess, find_program
from tests.storage.postgres_server import PostgresServer
from wire_protocol import clock, track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results")
DEVICES = 1436
FIXES_A_BATCH = 12
BATCH_MS = 60_000
AT_ONCE = 2000
INFLUX_FIXES_MAX = 600_000
READS = 50
PRESSES = 300
START_MS = 1_790_000_000_000
TWO_HOURS_MS = 7_200_000
Json = dict[str, Any]


def rows(fixes: int) -> list[TrackRow]:
    """Return checked rows in the order of arrival: devices shuffled, each one's own kept."""
    dice = random.Random(1)
    walk = generated_walk(1440)
    found, names = [], [f"t-{number:05}" for number in range(DEVICES)]
    for number in range(-(-fixes // FIXES_A_BATCH // DEVICES)):
        dice.shuffle(names)
        for name in names:
            start = dice.randrange(len(walk) - FIXES_A_BATCH)
            part = walk[start : start + FIXES_A_BATCH]
            shift = START_MS + number * BATCH_MS - part[0].at_ms
            part = [fix._replace(at_ms=fix.at_ms + shift) for fix in part]
            record = track.encode(7, number * FIXES_A_BATCH + 1, clock.GNSS, part)
            found.append(TrackRow.from_record(name, record, part[-1].at_ms + 900))
    return found


def parts(work: list[Any]) -> Iterator[list[Any]]:
    for at in range(0, len(work), AT_ONCE):
        yield work[at : at + AT_ONCE]


def timed(call: Callable[[], Any], times: int = READS) -> float:
    """Return the median ms of a call."""
    taken = []
    for _ in range(times):
        started_s = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started_s) * 1000)
    return round(median(taken), 3)


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def written(telemetry: Telemetry, work: list[TrackRow], folder: Path) -> Json:
    fixes = len(work) * FIXES_A_BATCH
    before = bytes_in(folder)
    cpu_s, started_s = time.process_time(), time.perf_counter()
    for part in parts(work):
        telemetry.write(part)
    seconds, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    return {
        "fixes": fixes,
        "fixes_a_second": round(fixes / seconds),
        "cpu_us_a_fix": round(cpu_s / fixes * 1e6, 3),
        "bytes_a_fix": round((bytes_in(folder) - before) / fixes, 1),
    }


def read(telemetry: Telemetry, end_ms: int) -> Json:
    dice = random.Random(2)
    span_ms = min(TWO_HOURS_MS, end_ms - START_MS)

    def two_hours() -> None:
        start_ms = dice.randrange(START_MS, end_ms - span_ms + 1)
        telemetry.track(f"t-{dice.randrange(DEVICES):05}", start_ms, start_ms + span_ms - 1)

    def box() -> list[Any]:
        middle = {
            "south": 30_000_000,
            "west": 120_000_000,
            "north": 31_000_000,
            "east": 121_000_000,
        }
        return list(telemetry.box(start_ms, start_ms + 10 * 60_000, **middle))

    start_ms = (START_MS + end_ms) // 2
    return {
        "track_ms": timed(two_hours),
        "track_minutes": span_ms // 60_000,
        "last_positions_ms": timed(telemetry.last_positions, 10),
        "box_10_minutes_of_all_ms": timed(box, 3),
        "box_fixes": len(box()),
    }


def sqlite_run(work: list[TrackRow], folder: Path) -> Json:
    telemetry = open_telemetry(Settings(telemetry_url=f"sqlite:///{folder / 't.sqlite'}"))
    telemetry.check()
    result = written(telemetry, work, folder) | read(telemetry, work[-1].last_ms)
    again = work[: len(work) // 4]
    started_s = time.perf_counter()
    for part in parts(again):
        telemetry.write(part)
    result["duplicates_fixes_a_second"] = round(
        len(again) * FIXES_A_BATCH / (time.perf_counter() - started_s)
    )
    middle_ms = (work[0].first_ms + work[-1].last_ms) // 2
    result["retain_half_ms"] = timed(lambda: telemetry.retain(middle_ms), 1)
    telemetry.close()
    return result


def row_a_fix_run(work: list[TrackRow], folder: Path) -> Json:
    """The plain way: what SQLite gives when every fix is a row of its own."""
    connection = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
    connection.executescript("""
        PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
        CREATE TABLE fix (device_no INTEGER, epoch INTEGER, seq INTEGER, at_ms INTEGER,
            received_ms INTEGER, clock INTEGER, lat_e6 INTEGER, lon_e6 INTEGER,
            speed_cms INTEGER, course_deg INTEGER, accuracy_m INTEGER);
        CREATE UNIQUE INDEX fix_key ON fix (device_no, epoch, seq);
        CREATE INDEX fix_time ON fix (device_no, at_ms);
    """)
    before, started_s = bytes_in(folder), time.perf_counter()
    for part in parts(work):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT OR IGNORE INTO fix VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            [
                (int(row.device[2:]), row.epoch, row.seq + number, fix.at_ms, row.received_ms,
                 row.clock, *fix[1:])
                for row in part
                for number, fix in enumerate(track.decode(row.record).fixes)
            ],
        )  # fmt: skip
        connection.execute("COMMIT")
    seconds = time.perf_counter() - started_s
    fixes = len(work) * FIXES_A_BATCH
    end_ms = work[-1].last_ms
    span_ms = min(TWO_HOURS_MS, end_ms - START_MS)
    dice = random.Random(2)

    def two_hours() -> None:
        start_ms = dice.randrange(START_MS, end_ms - span_ms + 1)
        bounds = (dice.randrange(DEVICES), start_ms, start_ms + span_ms - 1)
        statement = "SELECT * FROM fix WHERE device_no=? AND at_ms BETWEEN ? AND ? ORDER BY at_ms"
        connection.execute(statement, bounds).fetchall()

    result = {
        "fixes_a_second": round(fixes / seconds),
        "bytes_a_fix": round((bytes_in(folder) - before) / fixes, 1),
        "track_ms": timed(two_hours),
    }
    connection.close()
    return result


def influx_run(work: list[TrackRow], folder: Path) -> Json:
    program = find_program() or built_influxd()
    if program is None:
        return {"not measured": "no influxd on the path, and none can be built"}
    server = InfluxProcess(program, folder)
    server.start()
    try:
        server.set_up()
        settings = Settings(telemetry_url=server.new_bucket(), telemetry_token=server.token)
        telemetry = open_telemetry(settings)
        telemetry.check()
        work = work[: INFLUX_FIXES_MAX // FIXES_A_BATCH]
        result = written(telemetry, work, folder)
        result |= read(telemetry, work[-1].last_ms)
        telemetry.close()
        ceiling = influx_ceiling(server, work)
    finally:
        server.stop()
    of_it = round(result["fixes_a_second"] / ceiling, 2)
    return result | {"ceiling_points_a_second": ceiling, "of_the_ceiling": of_it}


def built_influxd() -> str | None:
    """Return the InfluxDB that the tests use, built where it can be."""
    found = subprocess.run(
        [ROOT / "tools" / "influxd.sh"], check=False, stdout=subprocess.PIPE, text=True
    )
    return found.stdout.strip() if found.returncode == 0 else None


def influx_ceiling(server: InfluxProcess, work: list[TrackRow]) -> int:
    """Return the points a second that InfluxDB takes of the same lines, ready made."""
    bucket = server.new_bucket().split("bucket=")[1]
    lines = [line for row in work for line in track_lines(row)]
    bodies = [
        "\n".join(lines[at : at + LINES_AT_ONCE_MAX])
        for at in range(0, len(lines), LINES_AT_ONCE_MAX)
    ]
    started_s = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda body: server.write(bucket, body), bodies))
    return round(len(lines) / (time.perf_counter() - started_s))


def registry_run(url: str, work: list[TrackRow]) -> Json:
    migrate(url)
    registry = open_registry(url)
    advances = [
        Advance(
            row.device,
            row.epoch,
            "track",
            row.seq,
            row.seq + row.records - 1,
            max(1, row.seq - 48),
        )
        for row in work[: 20 * AT_ONCE]
    ]
    cpu_s, started_s = time.process_time(), time.perf_counter()
    for part in parts(advances):
        with registry.begin() as session:
            advance_cursors(session, part)
    seconds, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    result = {
        "cursor_us_a_batch": round(seconds / len(advances) * 1e6, 2),
        "cursor_cpu_us_a_batch": round(cpu_s / len(advances) * 1e6, 2),
        **presses(registry),
    }
    registry.close()
    return result


def presses(registry: Registry) -> Json:
    taken = []
    for number in range(PRESSES):
        started_s = time.perf_counter()
        with registry.begin() as session:
            device = f"t-{number:05}"
            store_event(session, device, sos_record(seq=1), START_MS)
            advance_cursors(session, [Advance(device, 7, "event", 1, 1, 1)])
        taken.append((time.perf_counter() - started_s) * 1000)
    cuts = quantiles(taken[10:], n=100)
    return {"sos_commit_p50_ms": round(cuts[49], 2), "sos_commit_p99_ms": round(cuts[98], 2)}


def postgres_run(work: list[TrackRow]) -> Json:
    server = PostgresServer(durable=True)
    server.create()
    server.start()
    try:
        return registry_run(server.new_database(), work)
    finally:
        server.remove()


def main() -> None:
    fixes = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    work = rows(fixes)
    result: Json = {"devices": DEVICES, "fixes_a_batch": FIXES_A_BATCH}
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as name:
        for step, run in (
            ("sqlite", sqlite_run),
            ("sqlite_row_a_fix", row_a_fix_run),
            ("influxdb", influx_run),
        ):
            folder = Path(name) / step
            folder.mkdir()
            result[step] = run(work, folder)
            print(step, json.dumps(result[step]), flush=True)
        result["registry_sqlite"] = registry_run(f"sqlite:///{name}/registry.sqlite", work)
        result["registry_postgresql"] = postgres_run(work)
    result["times_a_row_a_fix"] = round(
        result["sqlite"]["fixes_a_second"] / result["sqlite_row_a_fix"]["fixes_a_second"], 1
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "storage.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
