"""The tables of the SQLite telemetry file, and how its last known rows are put.

A batch is filed by device number, epoch and seq (its key) and found by device and time. `clock` is
a code of wire_protocol.clock, 0 when the batch is undated; first_ms and last_ms are what it is
filed by.
"""

from storage.telemetry.newest import AHEAD_MS_MAX

# Kept in the file's user_version; a change of the tables needs a new one and a way from the old.
VERSION = 1

_BATCHES = """
CREATE TABLE {name} (
    id INTEGER PRIMARY KEY, device_no INTEGER NOT NULL, epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL, clock INTEGER NOT NULL, first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, record BLOB NOT NULL);
CREATE UNIQUE INDEX {name}_key ON {name} (device_no, epoch, seq);
CREATE INDEX {name}_time ON {name} (device_no, first_ms, last_ms);
"""
SCHEMA = f"""
CREATE TABLE device (no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
{_BATCHES.format(name="track")}
{_BATCHES.format(name="reading")}
CREATE TABLE state (
    id INTEGER PRIMARY KEY, device_no INTEGER NOT NULL, received_ms INTEGER NOT NULL,
    state TEXT NOT NULL);
CREATE INDEX state_time ON state (device_no, received_ms);
CREATE TABLE last_position (
    device_no INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, lat_e6 INTEGER NOT NULL,
    lon_e6 INTEGER NOT NULL, speed_cms INTEGER, course_deg INTEGER, accuracy_m INTEGER,
    clock TEXT NOT NULL, received_ms INTEGER NOT NULL, epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL, late INTEGER NOT NULL, dated INTEGER NOT NULL);
CREATE TABLE last_reading (
    device_no INTEGER NOT NULL, sensor TEXT NOT NULL, at_ms INTEGER NOT NULL,
    value INTEGER NOT NULL, clock TEXT NOT NULL, received_ms INTEGER NOT NULL,
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, dated INTEGER NOT NULL,
    PRIMARY KEY (device_no, sensor)) WITHOUT ROWID
"""

# newest.is_newer in SQL, so that two gateways on one file cannot overtake each other.
_NEWER = f"""
WHERE CASE
    WHEN excluded.dated <> dated THEN excluded.dated > dated
    WHEN excluded.epoch = epoch THEN excluded.seq > seq
    WHEN excluded.at_ms > excluded.received_ms + {AHEAD_MS_MAX}
      OR at_ms > received_ms + {AHEAD_MS_MAX} THEN excluded.received_ms > received_ms
    ELSE excluded.at_ms > at_ms
END
"""
PUT_POSITION = f"""
INSERT INTO last_position VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT (device_no) DO UPDATE SET
    at_ms=excluded.at_ms, lat_e6=excluded.lat_e6, lon_e6=excluded.lon_e6,
    speed_cms=excluded.speed_cms, course_deg=excluded.course_deg,
    accuracy_m=excluded.accuracy_m, clock=excluded.clock, received_ms=excluded.received_ms,
    epoch=excluded.epoch, seq=excluded.seq, late=excluded.late, dated=excluded.dated {_NEWER}
"""  # noqa: S608 - constants of this file
PUT_READING = f"""
INSERT INTO last_reading VALUES (?,?,?,?,?,?,?,?,?)
ON CONFLICT (device_no, sensor) DO UPDATE SET
    at_ms=excluded.at_ms, value=excluded.value, clock=excluded.clock,
    received_ms=excluded.received_ms, epoch=excluded.epoch, seq=excluded.seq,
    dated=excluded.dated {_NEWER}
"""  # noqa: S608 - constants of this file
