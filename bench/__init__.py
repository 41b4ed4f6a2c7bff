"""Benches: programs, each run as `python -m bench.NAME`; `python -m bench` runs them in turn.

Whoever ends one with SIGTERM gets what Ctrl-C does: it stops the devices and servers that it has
started. Set here, because every one of them comes through here before anything is started.
"""

import signal
import sys


def _is_program() -> bool:
    """Tell whether a bench is what was started; tests import them, too."""
    words = sys.orig_argv
    if "-m" not in words:
        return False
    name = words[words.index("-m") + 1]
    return name.partition(".")[0] == "bench"


if _is_program():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
