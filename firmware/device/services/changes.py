"""Settings changed by a `configure` command: tried, confirmed, or taken back; loaded when needed.

One file, `changes`, replaced whole: [confirmed settings, trial or None, answer or None].
A trial is [command, settings]. It is on the flash before the device starts with it, as begun or
not: a start that finds it begun knows that the last one did not come to a receipt, and goes back.
The answer is [seq of the result, command, status, reason], kept before the result is sealed, so
that a power cut between the two neither loses nor doubles it.
"""

_FILE = "changes"
TRIAL_MS = (
    300_000  # For network, broker and a receipt with settings on trial; slow ones take 60 s.
)
SOS_TRIAL_MS = 15_000  # An SOS waits no longer than this for a link with settings on trial.


def apply(board, kept) -> bool:
    """Put what was changed over the board's configuration; True if a trial begins with this start.

    Called before the settings are read.
    """
    settled, trial, answer = _load(kept)
    begun = False
    if trial is not None:
        if len(trial) > 2:  # The start before this one began it, and did not confirm it.
            answer = [None, trial[0], "failed", "rolled back: no receipt with the new settings"]
            trial = None
        else:
            trial.append(True)
            begun = True
        if not kept.save(_FILE, [settled, trial, answer]):
            begun, trial = False, None  # What cannot be taken back is not tried.
    board.config.update(settled)
    if begun and trial:
        board.config.update(trial[1])
    return begun


def keep(kept, trial: list | None, result: list | None) -> str:
    """Keep for the next start a trial or what it is to answer; returns why not, or "".

    One at a time: a second one would take the place of the first, which nobody would answer then.

    Args:
        kept: The small files.
        trial: [command, settings].
        result: [None, command, status, reason].
    """
    settled, old_trial, old_result = _load(kept)
    if old_trial or old_result:
        return "busy"
    return "" if kept.save(_FILE, [settled, trial, result]) else "the flash refuses"


def watch_over(station) -> None:
    """A second of a trial has passed, or of the wait for a restart."""
    now = station.clock.uptime_ms()
    sos = station.kind.state()["sos"]
    if station.trial:
        if not sos:
            station.calm_ms = now
        cut = now - station.calm_ms >= SOS_TRIAL_MS and not station.link.up.is_set()
        if cut or now >= TRIAL_MS:
            end_trial(station, False)
            station.board.reset()
    elif now >= station.reset_ms and not station.kind.is_pressed():
        station.reset_ms = None
        if sos:
            _withdraw(station)
        else:
            station.board.reset()


def end_trial(station, works: bool) -> None:
    """The link is there with the new settings, or it did not come: they hold, or are dropped."""
    station.trial = False
    settled, trial, _ = _load(station.kept)
    if trial is None:
        return
    if works:
        settled.update(trial[1])
        result = [None, trial[0], "done", ""]
    else:
        result = [None, trial[0], "failed", "rolled back: no receipt in time"]
    station.kept.save(_FILE, [settled, None, result])
    if works:
        answer(station)


def _withdraw(station) -> None:
    # An SOS was raised before the restart: there is none, and who asked for it is told.
    settled, trial, result = _load(station.kept)
    command = trial[0] if trial else result and result[1]
    if command:
        station.kept.save(_FILE, [settled, None, [None, command, "failed", "an SOS is open"]])
        answer(station)


def answer(station) -> None:
    """Seal the result that waits, unless it was sealed before the power went."""
    settled, trial, result = _load(station.kept)
    if result is None:
        return
    seq, command, status, reason = result
    next_seq = station.logbook.journal.next_seq("result")
    if seq is None:
        result[0] = seq = next_seq
        station.kept.save(_FILE, [settled, trial, result])
    # Without room for it the next start tries again. And the ledger first: it has this command as
    # one that waits, which the next start would answer.
    done = next_seq != seq or station.logbook.result(command, status, reason)
    if done and station.orders.keep({}):
        station.kept.save(_FILE, [settled, trial, None])


def _load(kept) -> list:
    found = kept.load(_FILE)
    if isinstance(found, list) and len(found) == 3 and isinstance(found[0], dict):
        return found
    return [{}, None, None]
