"""Lets Python sleep beside libfaketime, which refuses the call that `time.sleep` makes of it.

Loaded by every Python whose PYTHONPATH names this folder; nothing else of a process is changed.
"""

import select
import time


def sleep(seconds: float) -> None:
    """Wait so long by the kernel's own count."""
    select.select((), (), (), max(0.0, seconds))


time.sleep = sleep
