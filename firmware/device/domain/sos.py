"""The SOS as one table: events by states; an event that leads nowhere changes nothing.

`open`: latched in flash. `sent`: the broker has the last press. `stored`: the gateway's receipt
for it is here; `not stored`: it says that the press was refused. `taken`: a named operator has
the case. `help`: help is on its way. Presses after `taken` are records and alert again, but what
a person has confirmed stays confirmed.
"""

IDLE = "idle"
REFUSED = "not stored"  # As the wearer reads it.
_REFUSED_BY = "!"
STATES = (IDLE, "open", "sent", "stored", REFUSED, "taken", "help")
# Event -> for each of the states where it leads, as a place in STATES. Texts: a dict for each
# state would take twice the memory.
EVENTS = {
    "press": "1111156",
    "puback": "-2-----",
    "receipt": "-33----",
    "refused": "-44----",
    "taken": "-5555--",
    "help": "-66666-",
    "closed": "-000000",
    "cancel": "-000000",
}
_NOWHERE = "-------"


class Sos:
    """The SOS of one terminal.

    Attributes:
        state: One of STATES.
        incident: Seq of the first press of the open SOS, 0 when idle.
        press: How many presses it has.
        last: Seq of the last press.
        epoch: Of the journal in which these seqs count.
        trigger: button, silent, man_down or check_in.
        former: (incident, server's time) of the case that this SOS outlived, and of its closing.
        by: Who took it, as the wearer reads it; empty until somebody has.
    """

    def __init__(self) -> None:
        self._clear()

    @property
    def is_open(self) -> bool:
        """Whether an SOS goes on."""
        return self.state != IDLE

    def apply(self, event: str) -> bool:
        """Go where the table says; False, and nothing changed, if this state has no such event."""
        place = EVENTS.get(event, _NOWHERE)[STATES.index(self.state)]
        if place == "-":
            return False
        self.state = STATES[int(place)]
        if self.state == IDLE:
            self._clear()
        return True

    def raise_(self, epoch: int, seq: int, trigger: str) -> None:
        """A press: it will be the record with this seq."""
        self.apply("press")
        if not self.incident:
            self.incident, self.epoch, self.trigger = seq, epoch, trigger
        self.press += 1
        self.last = seq

    def as_row(self) -> list:
        """Return what must survive a restart."""
        state, by = self.state, self.by
        if state == REFUSED:
            state, by = "sent", _REFUSED_BY  # The rescue agent takes up the states of before.
        return [state, self.incident, self.press, self.last, self.epoch, self.trigger, by]

    def restore(self, row: list | None) -> None:
        """Take up what `as_row` gave before the restart; anything else is an idle SOS."""
        if isinstance(row, list) and len(row) == 7 and row[0] in STATES:
            self.state, self.incident, self.press, self.last, self.epoch = row[:5]
            self.trigger, self.by = row[5:]
            if self.by == _REFUSED_BY:
                self.state, self.by = REFUSED, ""
        if not self.incident:
            self._clear()

    def _clear(self) -> None:
        self.state = IDLE
        self.incident = self.press = self.last = self.epoch = 0
        self.trigger = self.by = ""
        self.former = 0, 0
