"""`python -m bench.gateway [FIXES]`: fixes a second stored, and CPU a fix.

One gateway process, the real broker with mutual TLS, 1,436 devices in shuffled order, batches of
12, SQLite with synchronous=FULL. The source is mosquitto's own C client, with as many messages
under way as a fleet has at most; the witness is the store itself. Beside it, in the same run, the
raw broker: the same source, and mosquitto_sub as the sink. JSON on the last line and in
bench/results/gateway.json. The same into InfluxDB, with fewer fixes, beside its own ceiling:
the points a second that it takes of a plain client in the same run, written ready made.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import results
from bench.libmosquitto import Source
from bench.storage import built_influxd, influx_ceiling
from bench.wire_tracks import generated_walk
from storage.telemetry.interface import TrackRow
from tests.gateway.installation import GatewayProcess, Installation, wait_for
from tests.storage.influx_server import InfluxProcess, find_program
from wire_protocol import clock, frames, topics, track

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
DEVICES = 1436
FIXES_A_BATCH = 12
AIM_FIXES_A_SECOND = 100_000
EPOCH = 7
# A device has up to 16 messages under way; two of each fill the pipe.
UNDER_WAY_MAX = 2 * DEVICES
INFLUX_FIXES_MAX = 300_000
SINK_BEHIND_MAX, SINK_WAIT_S = 10_000, 60
# What the sink writes of each message: as long for every one, so that its file's size counts them.
SINK_LINE, SINK_LINE_BYTES = "x", 2
# Beside the rules of every installation: one connection that speaks for all devices.
RULES = "user source\ntopic write xh/1/+/up/+\nuser sink\ntopic read xh/1/+/up/+\n"
TICKS_A_SECOND = 100  # /proc/PID/stat


def messages(fixes: int) -> list[tuple[bytes, bytes]]:
    """Return (topic, payload) of the whole run, devices shuffled, each device in its order."""
    dice = random.Random(1)
    batches = fixes // FIXES_A_BATCH
    walk = generated_walk(1440)
    now_ms = time.time_ns() // 1_000_000
    each = -(-batches // DEVICES)
    found = []
    names = [f"t-{number:05}" for number in range(DEVICES)]
    for number in range(each):
        dice.shuffle(names)
        for name in names:
            start = dice.randrange(len(walk) - FIXES_A_BATCH)
            part = walk[start : start + FIXES_A_BATCH]
            shift = now_ms - (each - number) * 60_000 - part[-1].at_ms
            part = [fix._replace(at_ms=fix.at_ms + shift) for fix in part]
            record = track.encode(EPOCH, number * FIXES_A_BATCH + 1, clock.GNSS, part)
            low = max(1, (number - 4) * FIXES_A_BATCH + 1)
            found.append((topics.up(name, "track").encode(), frames.envelope(low, record)))
    return found[:batches]


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Stored:
    """Counts batches in the telemetry file, as anybody could; with InfluxDB by the metrics."""

    def __init__(self, installation: Installation, gateway: GatewayProcess) -> None:
        path = installation.home / "telemetry.sqlite"
        self._path = path if installation.telemetry_url.startswith("sqlite") else None
        self._gateway = gateway
        self._connection: sqlite3.Connection | None = None

    @property
    def period_s(self) -> float:
        """How often it may be asked without being in the way."""
        return 0.005 if self._path else 0.1

    def __call__(self) -> int:
        if self._path is None:
            return int(self._gateway.metric('xunhu_gateway_messages_total{outcome="stored"'))
        if not self._path.exists():
            return 0
        if self._connection is None:
            self._connection = sqlite3.connect(self._path)
        try:
            return self._connection.execute("SELECT max(id) FROM track").fetchone()[0] or 0
        except sqlite3.OperationalError:  # No table yet.
            return 0


def gateway_run(installation: Installation, work: list[tuple[bytes, bytes]]) -> dict[str, float]:
    gateway = installation.start_gateway().wait_until_connected()
    stored = Stored(installation, gateway)
    source = _source(installation)
    broker = installation.broker
    assert broker is not None
    warm = work[:DEVICES]
    for topic, payload in warm:
        source.publish(topic, payload)
    wait_for(lambda: stored() >= len(warm), 60, "the first batch of each device stored")
    before = cpu_s(gateway.process.pid), cpu_s(broker.pid), own_cpu_s()
    start_s = time.monotonic()
    done = sent = len(warm)
    while done < len(work):
        while sent < len(work) and sent - done < UNDER_WAY_MAX:
            source.publish(*work[sent])
            sent += 1
        time.sleep(stored.period_s)
        done = stored()
        if time.monotonic() - start_s > 600:
            sys.exit(f"after 600 s {done} of {len(work)} batches are stored")
    seconds = time.monotonic() - start_s
    fixes = (len(work) - len(warm)) * FIXES_A_BATCH
    used = [
        after - first
        for after, first in zip(
            (cpu_s(gateway.process.pid), cpu_s(broker.pid), own_cpu_s()), before, strict=True
        )
    ]
    receipts = gateway.metric("xunhu_gateway_receipts_total")
    source.close()
    gateway.stop()
    return {
        "fixes_a_second": round(fixes / seconds),
        "fixes_a_gateway_cpu_second": round(fixes / used[0]),
        "gateway_cpu_us_a_fix": round(used[0] / fixes * 1e6, 2),
        "broker_cpu_us_a_fix": round(used[1] / fixes * 1e6, 2),
        "source_cpu_us_a_fix": round(used[2] / fixes * 1e6, 2),
        "gateway_cores": round(used[0] / seconds, 2),
        "batches_a_receipt": round(len(work) / max(1, receipts), 1),
        "seconds": round(seconds, 2),
        "fixes": fixes,
    }


def broker_run(installation: Installation, work: list[tuple[bytes, bytes]]) -> dict[str, float]:
    service = installation.authority.issue_service("sink")
    pki = installation.authority.folder
    program = shutil.which("mosquitto_sub", path=f"{ROOT / '.tools' / 'bin'}:/usr/bin")
    if program is None:
        sys.exit("missing: mosquitto_sub (run: python3 tools/debs.py test)")
    broker = installation.broker
    assert broker is not None
    arguments = [
        program, "-h", "127.0.0.1", "-p", str(installation.listeners.services_port), "-i", "sink",
        "--cafile", str(pki / "services-ca.pem"), "--cert", str(service.certificate_path),
        "--key", str(service.key_path), "-t", "xh/1/+/up/track",
        "-C", str(len(work)), "-F", SINK_LINE,
    ]  # fmt: skip
    with (installation.home / "sink").open("wb") as sink:
        process = subprocess.Popen(arguments, stdout=sink)
        time.sleep(1)
        source = _source(installation)
        before, start_s = cpu_s(broker.pid), time.monotonic()
        for number, message in enumerate(work):
            source.publish(*message)
            if number % 500 == 499:
                # Paced by what the sink has seen, else the broker drops.
                until_s = time.monotonic() + SINK_WAIT_S
                while number - sink.tell() // SINK_LINE_BYTES > SINK_BEHIND_MAX:
                    if time.monotonic() > until_s:
                        process.kill()
                        sys.exit("the raw broker dropped messages: its sink waits for them")
                    time.sleep(0.001)
        process.wait(300)
    seconds = time.monotonic() - start_s
    source.close()
    return {
        "fixes_a_second": round(len(work) * FIXES_A_BATCH / seconds),
        "messages_a_second": round(len(work) / seconds),
        "broker_cpu_us_a_message": round((cpu_s(broker.pid) - before) / len(work) * 1e6, 2),
    }


def _source(installation: Installation) -> Source:
    service = installation.authority.issue_service("source")
    pki = installation.authority.folder
    return Source(
        "source", installation.listeners.services_port, pki / "services-ca.pem",
        service.certificate_path, service.key_path,
    )  # fmt: skip


def influx_run(work: list[tuple[bytes, bytes]], folder: Path) -> dict[str, Any]:
    """The same into InfluxDB where there is one, beside what it takes of a plain client."""
    program = find_program() or built_influxd()
    if program is None:
        return {"not measured": "no influxd on the path, and none can be built"}
    server = InfluxProcess(program, folder / "influx")
    server.start()
    try:
        server.set_up()
        with installed(folder / "home-influx") as installation:
            installation.telemetry_url = server.new_bucket()
            installation.telemetry_token = server.token
            part = work[: INFLUX_FIXES_MAX // FIXES_A_BATCH]
            run = gateway_run(installation, part)
        ceiling = influx_ceiling(server, [row_of(*message) for message in part])
        return run | {
            "ceiling_points_a_second": ceiling,
            "of_the_ceiling": round(run["fixes_a_second"] / ceiling, 3),
        }
    finally:
        server.stop()


def row_of(topic: bytes, payload: bytes) -> TrackRow:
    """Return the row that the gateway makes of a message."""
    record = frames.open_envelope(payload)[1]
    return TrackRow.from_record(topic.decode().split("/")[2], record, time.time_ns() // 1_000_000)


@contextmanager
def installed(home: Path) -> Iterator[Installation]:
    installation = Installation(home, more_rules=RULES)
    try:
        installation.add_devices(f"t-{number:05}" for number in range(DEVICES))
        installation.start_broker()
        yield installation
    finally:
        installation.stop()


def main() -> None:
    fixes = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    work = messages(fixes)
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as folder:
        with installed(Path(folder) / "home") as installation:
            raw = broker_run(installation, work)
            print("raw broker", json.dumps(raw), flush=True)
            run = gateway_run(installation, work)
            print("gateway", json.dumps(run), flush=True)
        influx = influx_run(work, Path(folder))
        print("gateway into InfluxDB", json.dumps(influx), flush=True)
    ratio = round(run["fixes_a_second"] / raw["fixes_a_second"], 3)
    results.write(
        "gateway",
        {
            "gateway": run, "raw_broker": raw, "of_the_brokers_ceiling": ratio,
            "influxdb": influx,
            "aims": {
                "gateway.fixes_a_second": results.judged(
                    run["fixes_a_second"], at_least=AIM_FIXES_A_SECOND
                )
            },
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
