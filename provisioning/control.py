"""The client of a virtual device's control socket: press, set, show and the rest.

The protocol is in firmware/boards/virtual/board/control.py.
"""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provisioning.errors import ProvisioningError

_ANSWER_WAIT_S = 10.0
_ANSWER_BYTES_MAX = 262_144
_FEED_BYTES = 2048  # Half of what the device's line takes at once.
_LOOK_PERIOD_S = 0.05


class ControlError(ProvisioningError):
    """The virtual device does not run, or it refused what was asked."""


class Control:
    """Speaks to one virtual device; each call is a connection of its own, so resets do not matter.

    Args:
        folder: The device's folder, HOME/devices/<id>.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def press(self, name: str) -> None:
        """Press a button (sos, duty, ok) and keep it down."""
        self._ask(do="press", input=name)

    def release(self, name: str) -> None:
        """Let go of a button."""
        self._ask(do="release", input=name)

    def push(self, name: str, *, hold_s: float = 0.0) -> None:
        """Press a button, hold it, let go."""
        self.press(name)
        time.sleep(hold_s)
        self.release(name)

    def set_sensor(self, name: str, value: int | None) -> None:
        """Let a sensor measure a value, in the unit of the wire's sensor table; None breaks it."""
        self._ask(do="set", sensor=name, value=value)

    def battery(self, mv: int) -> None:
        """Set the battery's voltage, mV."""
        self._ask(do="battery", mv=mv)

    def link(self, *, up: bool, bearer: str = "wifi") -> None:
        """Give or take the Wi-Fi or the modem's cell; taking what is used cuts the connection."""
        self._ask(do="link", up=up, bearer=bearer)

    def receiver(self, mode: str) -> None:
        """Choose what the GNSS receiver sees: fix, no_fix or silent."""
        self._ask(do="receiver", mode=mode)

    def feed(self, data: bytes) -> None:
        """Send bytes over the receiver's line, no faster than the device reads."""
        for at in range(0, len(data), _FEED_BYTES):
            self._ask(do="feed", hex=data[at : at + _FEED_BYTES].hex())

    def clock(self, unix_s: int) -> None:
        """Set the chip's clock, which the application finds at its next start."""
        self._ask(do="clock", unix_s=unix_s)

    def reset(self) -> None:
        """Reset the device; flash and clock stay."""
        self._ask(do="reset")

    def power_off(self) -> None:
        """Switch the device off."""
        self._ask(do="power_off")

    def show(self) -> dict[str, Any]:
        """Return what a wearer would perceive (light, vibrate, tone, screen) and what is known."""
        answer = self._ask(do="show")
        answer.pop("ok")
        return answer

    def wait(
        self, until: Callable[[dict[str, Any]], bool], timeout_s: float = 20.0
    ) -> dict[str, Any]:
        """Return what is shown as soon as `until` says yes; a device that is away is waited for.

        Raises:
            ControlError: It did not happen in time; the message holds what was shown last.
        """
        deadline_s = time.monotonic() + timeout_s
        shown: object = "nothing"
        while time.monotonic() < deadline_s:
            try:
                shown = answer = self.show()
                if until(answer):
                    return answer
            except ControlError as error:
                shown = error
            time.sleep(_LOOK_PERIOD_S)
        raise ControlError(f"{self.folder.name}: not within {timeout_s} s; last: {shown}")

    def _ask(self, **asked: object) -> dict[str, Any]:
        device = self.folder.name
        # Named, because a port that this device has left may be another's by now.
        asked["device"] = device
        try:
            port = int((self.folder / "control.port").read_text())
            with socket.create_connection(("127.0.0.1", port), _ANSWER_WAIT_S) as connection:
                connection.sendall(json.dumps(asked).encode() + b"\n")
                with connection.makefile("rb") as reader:
                    line = reader.readline(_ANSWER_BYTES_MAX)
        except (OSError, ValueError) as error:
            raise ControlError(f"{device} does not run here: {error}") from error
        if not line.endswith(b"\n"):
            raise ControlError(f"{device} stopped before it answered")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ControlError(f"{device} refused {asked.get('do')}: {answer['error']}")
        return answer
