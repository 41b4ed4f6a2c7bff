"""The whole state as a message; loaded when it is told, then dropped."""

from device.adapters.segments import FAMILIES
from wire_protocol import lean

BATTERY_EMPTY_MV = 3_300
BATTERY_FULL_MV = 4_150


def compose(station, heap_free: int) -> bytes:
    """Return the state of a station that is online, ready to publish."""
    board = station.board
    journal = station.logbook.journal
    battery_mv = board.battery_mv()
    state = station.identity(station.link.connection, True)
    state.update(station.clock.stamp())
    state["device_kind"] = board.config["device_kind"]
    state["version"] = station.version
    state["battery_mv"] = battery_mv
    state["battery_percent"] = _percent(battery_mv)
    state["rssi_dbm"] = board.rssi_dbm()
    state["heap_free"] = heap_free
    state["reset"] = board.reset_reason()
    state["held"] = {stream: station.logbook.held(stream) for stream in FAMILIES}
    state["dropped"] = journal.dropped
    state["faults"] = station.faults()
    state.update(station.kind.state())
    sos = state["sos"]
    if sos and sos["epoch"] == journal.epoch:
        del sos["epoch"]
    if sos and sos["shown"] == "not stored":
        sos["shown"] = "sent"  # The farthest that it came; that it was refused is a fault.
        state["faults"] = state["faults"][:15] + ["sos_refused"]
    return lean.dump(state)


def _percent(battery_mv: int | None) -> int | None:
    if battery_mv is None:
        return None
    share = (battery_mv - BATTERY_EMPTY_MV) * 100 // (BATTERY_FULL_MV - BATTERY_EMPTY_MV)
    return max(0, min(100, share))
