"""The part of the chip's module `machine` that does not touch pins."""

import rig

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
_CAUSES = {"power": PWRON_RESET, "software": HARD_RESET, "watchdog": WDT_RESET}


def reset() -> None:
    """Start the device again; does not return."""
    rig.reset("software")


def reset_cause() -> int:
    """Why this run began, as one of the constants above."""
    return _CAUSES.get(rig.reset_reason, 0)


class WDT:
    """The watchdog; it sits outside of this process, in what runs it, and bites a blocked loop."""

    def __init__(self, timeout: int = 5000) -> None:
        self.timeout = timeout
        self.feed()

    def feed(self) -> None:
        """Put off the reset by the whole timeout."""
        rig.feed(self.timeout)
