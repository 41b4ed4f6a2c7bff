"""Runs the golden vectors; on CPython from pytest, on MicroPython as a script.

`micropython run_vectors.py FOLDER` prints each failure and, on its last line, what was run.
"""

import json
import sys

from wire_protocol import frames, messages, readings, records, topics, track, track_lone
from wire_protocol.errors import WireError

ROWS = {"track": (track, track.Fix), "reading": (readings, readings.Reading)}


def unwrap(payload):
    low, record = records.unwrap(payload)
    return {"low": low, "record": record}


PARSE = {
    "state": messages.parse_state,
    "receipt": messages.parse_receipt,
    "command": messages.parse_command,
    "sos_status": messages.parse_sos_status,
    "watch": messages.parse_watch,
    "mute": messages.parse_mute,
    "record": unwrap,
}


class Run:
    """Counts checks and keeps the names of those that failed."""

    def __init__(self):
        self.checks = 0
        self.failures = []

    def same(self, name, wanted, function, *arguments):
        self.checks += 1
        try:
            found = function(*arguments)
        except Exception as error:  # noqa: BLE001 - any error is a failure of its vector
            self.failures.append(f"{name}: {type(error).__name__}: {error}")
            return
        if found != wanted:
            self.failures.append(f"{name}: {found!r}, not {wanted!r}")

    def refuses(self, name, function, *arguments):
        """Check that the function raises WireError, and nothing else."""
        self.checks += 1
        try:
            found = function(*arguments)
        except WireError:
            return
        except Exception as error:  # noqa: BLE001 - as above
            self.failures.append(f"{name}: {type(error).__name__}: {error}, not WireError")
            return
        self.failures.append(f"{name}: {found!r}, not WireError")


def run(folder):
    """Return the run of all vectors in a folder."""
    made = Run()
    for kind in ROWS:
        run_rows(made, kind, load(folder, kind + ".json"))
    run_envelopes(made, load(folder, "envelope.json"))
    run_messages(made, load(folder, "messages.json"))
    run_topics(made, load(folder, "topics.json"))
    return made


def run_rows(made, kind, vectors):
    module, row = ROWS[kind]
    for case in vectors["good"]:
        name = f"{kind}: {case['name']}"
        record = bytes.fromhex(case["hex"])
        rows = [row(*values) for values in case["rows"]]
        kept = [row(*values) for values in case.get("decoded", case["rows"])]
        head = (case["epoch"], case["seq"], case["clock"])
        made.same(name + ", encoded", record, module.encode, *head, rows)
        if kind == "track" and len(rows) == 1:
            made.same(name + ", encoded alone", record, track_lone.encode_lone, *head, rows)
        batch = (head[0], head[1], head[2], kept)
        made.same(name + ", decoded", batch, module.decode, record)
        checked = (frames.header(record), kept[-1])
        made.same(name + ", checked", checked, module.check, record)
        for size in range(len(record)):
            made.refuses(f"{name}, cut to {size}, decoded", module.decode, record[:size])
            made.refuses(f"{name}, cut to {size}, checked", module.check, record[:size])
        made.refuses(name + ", a byte too long", module.decode, record + b"\0")
    for case in vectors["bad_bytes"]:
        record = bytes.fromhex(case["hex"])
        made.refuses(f"{kind}: {case['name']}, decoded", module.decode, record)
        made.refuses(f"{kind}: {case['name']}, checked", module.check, record)
    for case in vectors["bad_values"]:
        rows = [row(*values) for values in case["rows"]]
        head = (case["epoch"], case["seq"], case["clock"])
        made.refuses(f"{kind}: {case['name']}, encoded", module.encode, *head, rows)


def run_envelopes(made, vectors):
    for case in vectors["good"]:
        name, low = f"envelope: {case['name']}", case["low"]
        record, message = bytes.fromhex(case["record"]), bytes.fromhex(case["hex"])
        made.same(name + ", closed", message, frames.envelope, low, record)
        made.same(name + ", opened", (low, record), frames.open_envelope, message)
        for size in range(frames.ENVELOPE_BYTES + frames.HEADER_BYTES):
            made.refuses(f"{name}, cut to {size}", frames.open_envelope, message[:size])
    for case in vectors["bad_bytes"]:
        message = bytes.fromhex(case["hex"])
        made.refuses(f"envelope: {case['name']}", frames.open_envelope, message)
    for low in (-1, 0, 1 << 32):
        made.refuses(f"envelope: low {low}", frames.envelope, low, b"")


def run_messages(made, vectors):
    for case in vectors["good"]:
        name = f"{case['what']}: {case['name']}"
        parse, payload = PARSE[case["what"]], case["payload"].encode()
        value = case.get("value") or json.loads(case["payload"])
        made.same(name, value, parse, payload)
        made.refuses(name + ", cut short", parse, payload[:-1])
        made.refuses(name + ", a byte too long", parse, payload + b"x")
        if case["what"] == "record":
            made.same(name + ", sealed", value, reseal, value)
    for group in ("bad", "bad_bytes"):
        for case in vectors[group]:
            payload = bytes.fromhex(case["hex"]) if "hex" in case else case["payload"].encode()
            made.refuses(f"{case['what']}: {case['name']}", PARSE[case["what"]], payload)
    for what, parse in PARSE.items():
        made.refuses(f"{what}: nested past any depth", parse, b"[" * 4000)
        made.refuses(f"{what}: too long", parse, b'{"v":1,"x":"' + b"a" * 4090 + b'"}')


def reseal(value):
    """Seal a record, wrap it and open it again, as it goes from a device to the gateway."""
    fields = dict(value["record"])
    del fields["v"]
    return unwrap(records.wrap(value["low"], records.seal(fields)))


def run_topics(made, vectors):
    for case in vectors["good"]:
        device, way, kind, topic = [case[name] for name in ("device", "way", "kind", "topic")]
        build = topics.up if way == "up" else topics.down
        made.same(topic + ", built", topic, build, device, kind)
        made.same(topic + ", parsed", (device, way, kind), topics.parse, topic)
        made.refuses(topic + ", as live", topics.parse_live, topic)
    for topic in vectors["bad_topics"]:
        made.refuses(f"topic {topic!r}", topics.parse, topic)
    for device in vectors["bad_devices"]:
        made.refuses(f"device {device!r}", topics.check_device_id, device)
        made.refuses(f"device {device!r}, up", topics.up, device, "track")
        made.refuses(f"device {device!r}, down", topics.down, device, "receipt")
    for producer in vectors["good_producers"]:
        made.same(producer, producer, topics.parse_live, topics.live(producer))
    for producer in vectors["bad_producers"]:
        made.refuses(f"producer {producer!r}", topics.live, producer)
        made.refuses(f"producer {producer!r}, parsed", topics.parse_live, "xh/1/live/" + producer)


def load(folder, name):
    with open(f"{folder}/{name}") as file:  # noqa: PTH123 - MicroPython has no pathlib
        return json.load(file)


if __name__ == "__main__":
    outcome = run(sys.argv[1])
    for failure in outcome.failures:
        print("FAILED", failure)
    print(f"{outcome.checks} checks, {len(outcome.failures)} failures")
    sys.exit(1 if outcome.failures else 0)
