"""The life of a command as one table; a move that is not in it does not happen.

A device's own word (a result) outranks our guesses: a command that expired here while its result
was on the way was done all the same, and the ledger says so. A watch is a lease that nobody
answers: "sent" is the last that is ever known of it, and ends its row.
"""

from typing import Any

from sqlalchemy.orm import Session

from storage.registry.models import Command

FINISHED = frozenset({"refused", "done", "failed", "expired", "superseded"})

# Topics whose rows end with "sent".
UNANSWERED = frozenset({"watch"})

# What a device says of a command, by a result record.
RESULTS = ("accepted", "refused", "done", "failed")

# (status, what happened) -> status
MOVES = {
    ("queued", "sent"): "sent",
    ("queued", "superseded"): "superseded",
    ("sent", "superseded"): "superseded",
    ("sent", "delivered"): "delivered",
    # The row does not fit the wire: no device ever sees it.
    ("queued", "unsendable"): "failed",
    ("sent", "unsendable"): "failed",
    ("queued", "expired"): "expired",
    ("sent", "expired"): "expired",
    ("delivered", "expired"): "expired",
    # The device refused to run it after its time.
    ("accepted", "expired"): "expired",
    **{
        (status, result): result
        for status in ("queued", "sent", "delivered", "accepted", "expired", "superseded")
        for result in RESULTS
        if status != result
    },
}


def move(command: Command, happened: str, now_ms: int, reason: str = "") -> bool:
    """Move one row; False, and nothing changed, when the table has no such move."""
    status = MOVES.get((command.status, happened))
    if status is None:
        return False
    command.status = status
    if status == "sent":
        command.sent_ms = now_ms
    elif happened in ("delivered", *RESULTS):
        command.delivered_ms = command.delivered_ms or now_ms
    if status in FINISHED or (status == "sent" and command.topic in UNANSWERED):
        command.finished_ms = now_ms
    elif command.finished_ms is not None:
        command.finished_ms = None  # It had expired here, and is under way after all.
    if reason:
        command.reason = reason
    return True


def apply_result(
    session: Session, device: str, command_id: str, result: dict[str, Any], now_ms: int
) -> Command | None:
    """Move the row of a device's command by its result (`status`, `reason`, `data`).

    Returns:
        The row, None when it is not of this device, or the result says nothing new of it.
    """
    command = session.get(Command, command_id, with_for_update=True)
    if command is None or command.device != device:
        return None
    moved = move(command, result["status"], now_ms, result["reason"])
    data = result["data"]
    if data is not None and data != command.data:
        # The wearer's answer, a position, a log: the last word of the device counts.
        command.data = data
        moved = True
    return command if moved else None
