"""Puts the one device of a run together; loaded at the start, then dropped."""

import gc
import json

from device.adapters.kept import Kept
from device.late import forget, make_once

# Small and often: the heap of the chip grows in pieces, and a big hole is worth keeping.
GC_THRESHOLD_BYTES = 16_384
# Where there is more than on a chip, a collection takes longer and is needed less.
GC_SHARE = 8


def put_together(board, folder: str, station_kind):  # noqa: ANN201 - a Station
    """Return a device, ready to run.

    Args:
        board: What it is made of.
        folder: Holds build.json.
        station_kind: The class Station, which lives on when this module is gone.

    Raises:
        SettingsError: The board's configuration or the build's data cannot be used.
    """
    gc.threshold(max(GC_THRESHOLD_BYTES, gc.mem_free() // GC_SHARE))
    trial, settings = _settings(board)
    if board.config.get("device_kind") == "sensor_node":
        from device.sensor_node import SensorNode

        kind = make_once(SensorNode, board, settings)
    elif board.config.get("device_kind") == "terminal":
        from device.terminal import Terminal

        kind = make_once(Terminal, board, settings)
    else:
        from device.settings import SettingsError

        raise SettingsError("device_kind is {}".format(board.config.get("device_kind")))
    station = make_once(station_kind, board, settings, _build(folder), kind)
    kind.start(station)
    station.supervisor.is_needed = lambda: station.kind.state()["sos"]
    del type(kind).start  # It ran once, too.
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


def _build(folder: str) -> dict:
    with open(folder + "/build.json") as file:
        build = json.load(file)
    if not isinstance(build.get("built_s"), int) or not isinstance(build.get("version"), str):
        from device.settings import SettingsError

        raise SettingsError("build.json is not of this application")
    return build
