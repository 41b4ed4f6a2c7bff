"""The states of a case and the only steps between them, as a table.

A step that is not in the table is refused and nothing changes. Opening is the gateway's: it
happens in the transaction of the event. `help` says that help is on its way; it stays a taken
case. A taken case is taken again when it was pressed again, and only then.
"""

STEPS = {
    ("reported", "take"): "taken",
    ("taken", "take"): "taken",
    ("taken", "help"): "taken",
    ("taken", "close"): "closed",
}


def after(status: str, step: str) -> str | None:
    """Return the state that `step` leads to from `status`; None when there is no such step."""
    return STEPS.get((status, step))
