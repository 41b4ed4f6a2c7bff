"""Where the firmware begins: has the device put together that the board says, and runs it."""

import asyncio

from device.late import forget
from device.services.station import Station


def run(board) -> None:
    """Run the device for ever; returns only if nothing of it can go on."""
    asyncio.run(make(board).supervisor.run())


def make(board) -> Station:
    """Return the device, ready to run.

    Raises:
        SettingsError: The board's configuration or the build's data cannot be used.
    """
    from device.making import put_together

    try:
        # build.json lies beside this package.
        return put_together(board, __file__.rsplit("/", 2)[0], Station)
    finally:
        forget("device.making")
