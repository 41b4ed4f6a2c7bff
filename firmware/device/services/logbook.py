"""Where records are sealed: numbered, dated, written down; then the sender is told."""

from device.adapters.journal import Journal
from device.adapters.segments import FAMILIES
from device.errors import JournalFault, JournalFull
from device.late import forget, make_once
from wire_protocol import lean
from wire_protocol.envelope import envelope


class Logbook:
    """The journal and what is sealed into it.

    Attributes:
        journal: In flash, or in memory once the flash has failed.
        old: None until then, False if the flash had failed before this start, or a logbook that
            takes no record: of the journal in flash, to be sent all the same.
        boot: How many starts this device has had.
        faults: Names of what is wrong with it now: `journal` (memory only), `journal_full`.
    """

    old = None

    def __init__(self, board, kept, clock) -> None:
        self._clock = clock
        self._board = board
        self.on_sealed = _nothing
        self.faults = set()
        self.boot = kept.load("boot", 0) + 1
        kept.save("boot", self.boot)
        self.journal = None
        if board.journal_state != "failed":
            try:
                self.journal = make_once(Journal, board.journal_path, kept)
            except JournalFault as error:
                print("journal:", error)
        if self.journal is None:
            from device.adapters.ram_journal import take_over

            take_over(self, 0)
        if getattr(board, "journal_lost", False):
            self.faults.add("journal_lost")

    def event(self, kind: str, fields: dict, sos: bool = False) -> tuple | None:
        """Seal an event.

        Once the flash refuses, everything lives in memory, and `faults` says so.

        Args:
            kind: As in docs/wire_protocol.md.
            fields: Those of its kind; `incident` 0 becomes the event's own seq.
            sos: It belongs to an SOS: it is kept whatever happens to the flash.

        Returns:
            (epoch, seq), or None when it could not be kept, which `faults` says.
        """
        return self._json("event", kind, fields, sos)

    def result(self, command: str, status: str, reason: str = "", data=None) -> bool:
        """Seal the result of a command; False when it could not be kept."""
        fields = {"command": command, "status": status, "reason": reason, "data": data}
        return self._json("result", "result", fields, False) is not None

    def batch(self, stream: str, encode, quality: int, items: list) -> bool:
        """Seal a batch; False when it could not be kept.

        Args:
            stream: `track` or `reading`.
            encode: The stream's encoder in wire_protocol.
            quality: Of the clock that dated them all.
            items: What the encoder takes.
        """
        journal = None
        while journal is not self.journal:  # A flash that refuses has another in its place then.
            journal = self.journal
            record = encode(journal.epoch, journal.next_seq(stream), quality, items)
            if self._append(stream, record, len(items), False):
                return True
        return False

    def holds(self) -> bool:
        """Say whether records wait for their receipt."""
        return any(self.held(stream) for stream in FAMILIES)

    def held(self, stream: str) -> int:
        """Return how many records of a stream wait for their receipt."""
        old = self.old
        beside = old.held(stream) if old else 0  # pyright: ignore[reportAttributeAccessIssue]
        return self.journal.held(stream) + beside

    def name_lost(self) -> None:
        """Seal as records what the journal had to drop: it is awaited somewhere."""
        if self.journal.lost():
            from device.services.losses import name

            name(self)
            forget("device.services.losses")

    def message(self, family: str, stream: str, seq: int) -> tuple | None:
        """Return (seq, count, message to publish) of the first record from seq on that waits."""
        found = self.journal.entry(family, seq)
        if found is None:
            return None
        seq, count, record = found
        low = min(self.journal.low(stream), seq)
        wrap = envelope if stream in ("track", "reading") else lean.wrap
        return seq, count, wrap(low, record)

    def _json(self, stream: str, kind: str, fields: dict, sos: bool) -> tuple | None:
        journal = self.journal
        seq = journal.next_seq(stream)
        record = self._clock.stamp()
        record.update(fields)
        record.update({"epoch": journal.epoch, "seq": seq, "kind": kind, "boot": self.boot})
        if record.get("incident") == 0:
            record["incident"] = seq
        if self._append(stream, lean.seal(record), 1, sos):
            return journal.epoch, seq
        # What the flash dropped counts in its epoch: it is named once the flash is well.
        if journal is self.journal or kind == "dropped":
            return None
        if "incident" in fields:
            fields["incident"] = 0  # The old one counts in another epoch.
        return self._json(stream, kind, fields, sos)

    def _append(self, stream: str, record: bytes, count: int, sos: bool) -> bool:
        journal = self.journal
        seq = journal.next_seq(stream)
        try:
            journal.append(stream, record, count, sos)
        except (JournalFault, JournalFull) as error:
            is_full = isinstance(error, JournalFull)
            if is_full:
                self.faults.add("journal_full")
            if self.old is None and (sos or not is_full):
                from device.adapters.ram_journal import take_over

                take_over(self, journal.dropped)
            return False
        if not sos and stream != "result":  # For these two there is room when there is none.
            self.faults.discard("journal_full")
        self._board.status("sealed", (stream, journal.epoch, seq, count))
        self.on_sealed()
        return True


def _nothing() -> None:
    pass
