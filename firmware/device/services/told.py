"""What the device is told: commands, mutes, what became of its SOS, who watches.

Loaded when something comes, then dropped. A command's id is in the ledger in flash before it is
run; one that is there already is not run again: its result is in the journal or was receipted.
"""

import binascii

from device.services.orders import WAITING_MAX
from wire_protocol import clock as quality
from wire_protocol import lean_told

MUTE_TTL_S = 60
LEDGER_MAX = 64  # Ids remembered; the gateway repeats a command until its result, not after it.
_ID_BYTES = 8


def take(station, topic: str, payload: bytes) -> None:
    """Do what a message of any topic but `receipt` says; WireError if it breaks the protocol."""
    if topic == "command":
        command = lean_told.load_named(payload)
        reason = lean_told.wrong_command(command)
        left_s = 1 if reason else command["ttl_s"]
        if not reason and station.clock.quality >= quality.SERVER:
            # A clock that is a little behind must not lengthen the time to live.
            age_s = (station.clock.now_ms() - command["issued"]) // 1000
            left_s = min(left_s, left_s - age_s)
        _run(station, command, command.get("kind"), command["body"], left_s, reason)
    elif topic == "mute":
        from wire_protocol.lean_mute import wrong_mute

        mute = lean_told.load_named(payload)
        _run(station, mute, "mute", mute, MUTE_TTL_S, wrong_mute(mute))
    elif topic == "sos_status":
        station.kind.on_sos_status(lean_told.parse_sos_status(payload))
    elif topic == "watch":
        station.kind.on_watch(lean_told.parse_watch(payload)["lease_s"])


def _run(station, message: dict, kind: str, body: dict | None, left_s: int, wrong: str) -> None:
    orders, command = station.orders, message["id"]
    if _is_known(orders.ledger, command):
        return
    answer = ("refused", wrong, None) if wrong else _refusal(orders, body, left_s)
    if wrong:
        station.refused += 1
    if not _write_down(station, command, left_s):
        answer = ("refused", "ledger cannot be written", None)
    if answer is None:
        answer = station.kind.order(kind, body, command)
    if answer is None:
        station.logbook.result(command, "accepted")
    else:
        orders.finish(command, *answer)


def _is_known(ledger: bytes, command: str) -> bool:
    """Say whether this command came before."""
    key = binascii.unhexlify(command)
    return any(ledger[i : i + _ID_BYTES] == key for i in range(0, len(ledger), _ID_BYTES))


def _write_down(station, command: str, left_s: int) -> bool:
    """Keep a new command; False if the flash refuses: then it may not be run."""
    orders = station.orders
    orders.ledger = (orders.ledger + binascii.unhexlify(command))[-LEDGER_MAX * _ID_BYTES :]
    orders.waiting[command] = station.clock.uptime_ms() + left_s * 1000
    return orders.keep({})


def _refusal(orders, body: dict | None, left_s: int) -> tuple | None:
    if left_s <= 0:
        return "expired", "time to live", None
    if body is None:
        return "refused", "unknown kind", None
    if len(orders.waiting) >= WAITING_MAX:
        return "refused", "busy", None
    return None
