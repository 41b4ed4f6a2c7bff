"""What people do about a terminal's SOS, its wearer too; loaded for the moment, then dropped."""


def on_status(terminal, sos, status: dict) -> None:
    """Take what somebody has done about an SOS of this epoch; one that is not ours is left.

    A case may be closed while a further press of it is on its way: that press then opens a case of
    its own. People name that case by the incident in the press, which is that of the case before;
    the gateway finds it by the press. Both are ours, the former from the closing on.
    """
    event, at_ms = status["status"], status["at"]
    incident, closed_ms = sos.former
    is_later = status["incident"] == incident and at_ms > closed_ms
    if status["incident"] != sos.incident and not is_later:
        return
    if event == "closed" and sos.last != sos.incident and terminal.waits():
        # Nobody who closed it has seen the last press: it goes on, as an SOS of its own.
        outlive(sos, at_ms)
        terminal.show_sos("open")
        return
    sos.by = status["by"]
    if status.get("distance_m") is not None:
        sos.by += " {} m".format(status["distance_m"])
    terminal.apply_sos(event)


def outlive(sos, at_ms: int) -> None:
    """All but the last press is over since a time of the server's: that one is an SOS."""
    former, epoch, last, trigger = sos.incident, sos.epoch, sos.last, sos.trigger
    sos.apply("closed")
    sos.raise_(epoch, last, trigger)
    sos.former = former, at_ms


def cancel(terminal, sos) -> None:
    """The wearer takes it back."""
    book = terminal.station.logbook
    # Of another epoch, that of the flash before it failed, it means nothing.
    fields = {"incident": sos.incident if sos.epoch == book.journal.epoch else 0}
    # Without room for its record it did not happen: the SOS stays, and is shown.
    if sos.is_open and book.event("sos_cancel", fields, sos=True):
        terminal.apply_sos("cancel")
