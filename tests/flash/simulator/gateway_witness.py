"""A gateway for one simulated device, in its process: stores by key, receipts, commands, witness.

It outlives the device's power cuts. What it is told by nobody but the device's own outside, that a
record was sealed or a press was shown, it holds against what it has stored: `missing` and `check`.
"""

import json

from wire_protocol import frames, lean

NOW_MS = 1_790_000_000_000
_STREAMS = ("track", "reading")


class Gateway:
    """What one device sent, each record once.

    Attributes:
        online: Whether the device reaches it.
        receipting: Whether it sends receipts.
        stored: (epoch, stream, seq) -> (sealed bytes, count).
        sealed: (epoch, stream, seq) -> count, as the device's board was told.
        named: [epoch, stream, first, count] of the records `dropped`.
        again: Messages with a record that was stored already.
        down: [(topic, payload)], not yet delivered.
        incidents: (epoch, incident, press) of each SOS record, in the order in which they came.
        sealed_in: In which power cycle each of them was sealed; None: by a rescue agent.
        cycle: The power cycle, counted by whom it matters to.
        commands: id -> {"message", "statuses": [(seq, status)], "done"}.
    """

    def __init__(self):
        self.online = False
        self.receipting = True
        self.stored = {}
        self.sealed = {}
        self.named = []
        self.again = 0
        self.state = None
        self.states = 0
        self.down = []
        self.commands = {}
        self.incidents = []
        self.sealed_in = []
        self.cycle = 0
        self._cycles = {}
        self._uptos = {}  # (epoch, stream) -> [upto, {seq: count} above it]

    def copy(self):
        """Return another gateway that knows the same."""
        other = Gateway()
        other.stored, other.sealed = dict(self.stored), dict(self.sealed)
        other.named, other.incidents = list(self.named), list(self.incidents)
        other.sealed_in = list(self.sealed_in)
        for name, row in self.commands.items():
            other.commands[name] = dict(row, statuses=list(row["statuses"]))
        for key, (upto, singles) in self._uptos.items():
            other._uptos[key] = [upto, dict(singles)]
        return other

    def witness(self, epoch, stream, seq, count):
        """The device says it has sealed a record."""
        key = epoch, stream, seq
        assert key not in self.sealed, (key, "was sealed twice")
        self.sealed[key] = count
        self._cycles[key] = self.cycle

    def take(self, kind, payload):
        """A message came."""
        if kind == "state":
            self.state = json.loads(payload)
            self.states += 1
            return
        if kind in _STREAMS:
            low, sealed = frames.open_envelope(payload)
            header = frames.header(sealed)
            epoch, seq, count = header.epoch, header.seq, header.count
            record = None
        else:
            message = json.loads(payload)
            low, record = message["low"], message["record"]
            sealed = bytes(payload[payload.index(b'"record":') + 9 : -1])
            epoch, seq, count = record["epoch"], record["seq"], 1
        key = epoch, kind, seq
        before = self.stored.get(key)
        assert before is None or before[0] == sealed, (key, before, sealed)
        self.again += before is not None
        if before is None:
            # A range may name what was stored long ago, its receipt forgotten in a power cut. What
            # comes after the range that names it was not dropped.
            assert not self._is_named(key), (key, "was named as dropped")
            self.stored[key] = sealed, count
            self._note(key, record)
        self._receipt(epoch, kind, seq, count, low)

    def command(self, message):
        """Send a command, as dict, until its last result is here; a gateway repeats itself."""
        if message["id"] not in self.commands:
            self.commands[message["id"]] = {"message": message, "statuses": [], "done": False}
        self.down.append(("command", lean.dump(dict(message))))

    def repeat_commands(self):
        """Send again what has no last result."""
        for row in self.commands.values():
            if not row["done"]:
                self.command(row["message"])

    def configured(self):
        """Return (state_s, batch_s) of the last `configure` that is done, None without one."""
        done = [
            (seq, row["message"]["body"]["settings"])
            for row in self.commands.values()
            for seq, status in row["statuses"]
            if row["message"]["kind"] == "configure" and status == "done"
        ]
        if not done:
            return None
        settings = max(done, key=lambda row: row[0])[1]
        return settings["state_s"], settings["batch_s"]

    def missing(self):
        """Return the keys that were sealed, are not stored, and not named as dropped."""
        return [key for key in self.sealed if key not in self.stored and not self._is_named(key)]

    def check(self):
        """Nothing is missing, and nothing contradicts itself."""
        missing = self.missing()
        assert not missing, ("sealed, not stored, not named", missing[:6], len(missing))
        for name, row in self.commands.items():
            words = [status for _, status in sorted(row["statuses"])]
            last = [word for word in words if word != "accepted"]
            assert words.count("accepted") <= 1, (name, words)
            assert len(last) <= 1, (name, words, "answered twice")
        self._check_seqs()

    def _check_seqs(self):
        """No two stored records overlap."""
        ends = {}
        for epoch, stream, seq in sorted(self.stored):
            end = ends.get((epoch, stream), 1)
            assert seq >= end, (epoch, stream, seq, "lies in the record before it")
            ends[epoch, stream] = seq + self.stored[epoch, stream, seq][1]

    def _note(self, key, record):
        if not record:
            return
        kind = record["kind"]
        if kind == "dropped":
            self.named.append((key[0], record["stream"], record["first"], record["count"]))
        elif kind == "sos":
            self.incidents.append((key[0], record["incident"], record["press"]))
            self.sealed_in.append(self._cycles.get(key))
        elif kind == "result":
            row = self.commands.get(record["command"])
            if row:
                row["statuses"].append((key[2], record["status"]))
                row["done"] = row["done"] or record["status"] != "accepted"

    def _is_named(self, key):
        return any(
            (epoch, stream) == key[:2] and first <= key[2] < first + count
            for epoch, stream, first, count in self.named
        )

    def _receipt(self, epoch, stream, seq, count, low):
        row = self._uptos.setdefault((epoch, stream), [0, {}])
        row[0] = max(row[0], low - 1)
        row[1][seq] = count
        for first in sorted(row[1]):
            if first <= row[0] + 1:
                row[0] = max(row[0], first + row[1].pop(first) - 1)
        if self.receipting:
            counts = [row[0]] + sorted(row[1])[:32]  # noqa: RUF005 - MicroPython
            receipt = {"at": NOW_MS, "epoch": epoch, "streams": {stream: counts}}
            self.down.append(("receipt", lean.dump(receipt)))
