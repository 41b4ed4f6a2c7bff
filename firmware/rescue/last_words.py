"""Writes down why the application ended, beside the crashes of its tasks; loaded by main.py."""

from device.adapters.kept import Kept
from device.crashes import keep_crash

JOURNAL = "/journal"


def keep(task: str, error: Exception) -> None:
    """Add a crash to the ring in the journal."""
    kept = Kept(JOURNAL)
    boot = kept.load("boot")
    keep_crash(kept, boot if isinstance(boot, int) else 0, 0, task, error)
