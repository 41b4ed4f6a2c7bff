"""Commands to a terminal, and what its wearer answers; loaded for the moment, then dropped."""

from device.services.station import position

LOCATE_MS = 60_000
FRESH_MS = 10_000  # A fix as young as this answers `locate` at once.
TASK_MS = 86_400_000  # A task that was accepted may take a day; another after a restart.
ANSWERS = ("accept", "arrived", "done")  # What OK says, one after the other, to what asks.
HOLD_MS = 1_500  # OK held so long says no.


def order(terminal, kind: str, body: dict, command: str) -> tuple | None:
    """Run a command: (status, reason, data), or None when the answer comes later."""
    if kind == "message":
        says = ANSWERS[0] if body.get("answers") else "read"
        terminal.messages.append([command, body["text"], says])
        terminal.show(again=True, name="message")
        return None
    if kind == "duty":
        if body["on"] != terminal.duty:
            terminal.set_duty(body["on"], "command")
        return "done", "", None
    if kind == "locate":
        return _locate(terminal, command)
    if kind == "ring":
        terminal.ringing_ms = terminal.station.clock.uptime_ms() + body["for_s"] * 1000
        return "done", "", None
    return terminal.station.deed(kind, body, command)


def on_ok(terminal, down: bool, held_ms: int) -> None:
    """The wearer pressed OK, or let it go after so long, and there is a message."""
    message = terminal.messages[0]
    command, _, says = message
    if says == "read":
        if down:
            _answer(terminal, command, "done", None)
    elif not down and held_ms >= HOLD_MS:
        _answer(terminal, command, "refused", "decline")
    elif not down:
        step = ANSWERS.index(says) + 1
        if step < len(ANSWERS):
            message[2] = ANSWERS[step]
        _answer(terminal, command, "accepted" if step < len(ANSWERS) else "done", says)


def set_duty(terminal, on: bool, by: str) -> None:
    """Go on duty or off; `by`: button, command or boot."""
    station = terminal.station
    if not on and terminal.state()["sos"] is None:
        terminal.seal()
    terminal.duty = on
    station.kept.save("duty", on)
    station.logbook.event("duty", {"on": on, "by": by})
    terminal.show(again=True, name="duty_on" if on else "duty_off")
    station.changed()


def resume(waiting: dict, tasks: list, rows: dict, logbook) -> list:
    """Take up the tasks that their wearer had accepted before this start; returns their ids.

    Args:
        waiting: Command id -> uptime at which it expires.
        tasks: As `_keep_tasks` kept them.
        rows: Of the ledger: 0 for a command that waits, or the seq of its last result.
        logbook: Where an answer is sealed that the power cut off.
    """
    found = []
    next_seq = logbook.journal.next_seq("result")
    for command, _, step, seq in tasks:
        if rows.get(command, 1) == 0 or rows.get(command, 0) >= next_seq:
            found.append(command)
            waiting[command] = TASK_MS
            if seq >= next_seq:
                answer = ANSWERS[ANSWERS.index(step) - 1]
                logbook.result(command, "accepted", "", {"answer": answer})
    return found


def self_test(terminal) -> dict:
    """Return part -> "ok" or what is wrong with it."""
    parser = terminal.parser
    counts = (
        "ok" if _is_fresh(terminal) else "no fix",
        parser.sentences, parser.checksum_errors, parser.garbage_bytes,
    )  # fmt: skip
    return {"receiver": "{}: {} sentences, {} bad, {} bytes of garbage".format(*counts)}


def _locate(terminal, command: str) -> tuple | None:
    if not terminal.may_record():
        return "refused", "off duty", None
    if _is_fresh(terminal):
        return "done", "", _where(terminal)
    terminal.locating[command] = terminal.station.clock.uptime_ms() + LOCATE_MS
    return None


def end_locating(terminal, found: bool) -> None:
    """Answer each `locate` that waits: there is a fix, or the time of some is up."""
    now = terminal.station.clock.uptime_ms()
    for command in list(terminal.locating):
        if found and terminal.may_record():
            answer = ("done", "", _where(terminal))
        elif found:
            answer = ("refused", "off duty")
        elif terminal.locating[command] <= now:
            answer = ("failed", "no fix")
        else:
            continue
        del terminal.locating[command]
        terminal.station.orders.finish(command, *answer)


def _is_fresh(terminal) -> bool:
    """Say whether the last fix still tells where the wearer is."""
    now = terminal.station.clock.uptime_ms()
    return terminal.fix_ms is not None and now - terminal.fix_ms <= FRESH_MS


def _where(terminal) -> dict:
    """Return the last fix as a command's answer carries it."""
    return {"fix": position(terminal.fix, terminal.alt_mm)}


def _answer(terminal, command: str, status: str, says: str | None) -> None:
    """The wearer answers the first message; it stays while it is a task under way."""
    data = None if says is None else {"answer": says}
    station = terminal.station
    if status == "accepted":
        station.orders.waiting[command] = station.clock.uptime_ms() + TASK_MS
        # Before the result: a start after a power cut in between makes it.
        _keep_tasks(terminal, command)
        station.logbook.result(command, status, "", data)
    else:
        terminal.messages.pop(0)
        station.orders.finish(command, status, "declined" if says == "decline" else "", data)
        _keep_tasks(terminal, None)
    terminal.show(again=False)


def _keep_tasks(terminal, answered: str | None) -> None:
    """Keep [command, text, step, seq of its last answer] of each task that was accepted.

    Args:
        terminal: Whose they are.
        answered: The command whose answer is the next result.
    """
    station = terminal.station
    old = {row[0]: row for row in station.kept.load("tasks") or ()}
    rows = []
    for command, text, step in terminal.messages:
        if command == answered:
            rows.append([command, text, step, station.logbook.journal.next_seq("result")])
        elif command in old:
            rows.append(old[command])
    if rows or old:
        station.kept.save("tasks", rows)
