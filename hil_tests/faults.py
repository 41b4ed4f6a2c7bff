"""What can be wrong with a network, as data: in scenario files, rig files and tests."""

from dataclasses import dataclass, fields

from hil_tests.fields import Table

DELAY_MS_MAX = 60_000
BYTES_MAX = 10_000_000
LOSS_BYTES = 6_000  # A handshake and the first messages: where a lost connection hurts.


@dataclass(frozen=True)
class Faults:
    """What is wrong with one line, both ways; all of it can be combined.

    Attributes:
        latency_ms: Every byte arrives so much later, each way.
        jitter_ms: And up to so much later still, newly drawn for each piece; order is kept.
        loss: Share of the connections that end without warning (RST) somewhere in their next
            `loss_bytes` bytes, those that are open now among them.
        loss_bytes: See `loss`.
        black_hole: Nothing passes either way and nothing is closed; what was sent meanwhile
            arrives afterwards, as TCP would have it.
        reset_bytes: Every connection is reset (RST) once so many bytes have passed since now.
        slow_close_s: The device's end of open connections is closed now, and the broker hears of
            any close so much later.
        half_open: The broker's end of open connections is gone, the device's end hears nothing
            of it, ever; new connections likewise while this lasts.
        bandwidth_bytes_s: So many bytes a second, each way.
        slice_bytes: Bytes arrive in pieces of 1 to so many.
        refuse: Nothing can connect, and what is connected is reset: no network at all.
    """

    latency_ms: int = 0
    jitter_ms: int = 0
    loss: float = 0.0
    loss_bytes: int = LOSS_BYTES
    black_hole: bool = False
    reset_bytes: int | None = None
    slow_close_s: float = 0.0
    half_open: bool = False
    bandwidth_bytes_s: int | None = None
    slice_bytes: int | None = None
    refuse: bool = False

    def __str__(self) -> str:
        said = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return ", ".join(said) or "no fault"


NONE = Faults()


def read_faults(table: Table) -> Faults:
    """Read a table of faults; FileError names field and limit."""
    found = Faults(
        latency_ms=table.whole("latency_ms", 0, DELAY_MS_MAX, 0),
        jitter_ms=table.whole("jitter_ms", 0, DELAY_MS_MAX, 0),
        loss=table.number("loss", 0, 1, 0.0),
        loss_bytes=table.whole("loss_bytes", 1, BYTES_MAX, LOSS_BYTES),
        black_hole=table.flag("black_hole", default=False),
        reset_bytes=table.whole("reset_bytes", 0, BYTES_MAX, None),
        slow_close_s=table.number("slow_close_s", 0, 600, 0.0),
        half_open=table.flag("half_open", default=False),
        bandwidth_bytes_s=table.whole("bandwidth_bytes_s", 100, BYTES_MAX, None),
        slice_bytes=table.whole("slice_bytes", 1, 65_536, None),
        refuse=table.flag("refuse", default=False),
    )
    table.finish()
    return found
