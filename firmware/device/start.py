"""Where the firmware begins: builds the kind of device that the board says, and runs it."""

import asyncio
import gc
import json

from device.adapters.kept import Kept
from device.errors import SettingsError
from device.late import forget
from device.services.station import Station

# Small and often: the heap of the chip grows in pieces, and a big hole is worth keeping.
GC_THRESHOLD_BYTES = 16_384


def run(board) -> None:
    """Run the device for ever; returns only if nothing of it can go on."""
    asyncio.run(make(board).supervisor.run())


def make(board) -> Station:
    """Return the device, ready to run.

    Raises:
        SettingsError: The board's configuration or the build's data cannot be used.
    """
    gc.threshold(GC_THRESHOLD_BYTES)
    trial, settings = _settings(board)
    if board.config.get("device_kind") == "sensor_node":
        from device.sensor_node import SensorNode

        kind = SensorNode(board, settings)
    elif board.config.get("device_kind") == "terminal":
        from device.terminal import Terminal

        kind = Terminal(board, settings)
    else:
        raise SettingsError("device_kind is {}".format(board.config.get("device_kind")))
    station = Station(board, settings, _build(), kind)
    kind.start(station)
    station.trial = trial
    if station.kept.load("changes"):
        from device.services.changes import answer

        answer(station)
        forget("device.services.changes")
    return station


def _settings(board) -> tuple:
    """Return (whether they are on trial, the settings that hold for this start)."""
    kept, trial = Kept(board.journal_path), False
    if kept.load("changes"):
        from device.services.changes import apply

        trial = apply(board, kept)
        forget("device.services.changes")
    from device.settings import read

    settings = read(board.config)
    forget("device.settings")
    return trial, settings


def _build() -> dict:
    """Return build.json, which lies beside this package."""
    folder = __file__.rsplit("/", 2)[0]
    with open(folder + "/build.json") as file:
        build = json.load(file)
    if not isinstance(build.get("built_s"), int) or not isinstance(build.get("version"), str):
        raise SettingsError("build.json is not of this application")
    return build
