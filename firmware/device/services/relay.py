"""The SOS relay at a device: asks neighbours while an SOS has no link, carries theirs when it has.

Loaded for the moment and dropped. `board.neighbours` is the radio: `send(frame)` reaches whoever
is near, `await receive()` gives the next frame heard. A frame is carried unread; only the gateway
and the device that sealed it can open it.
"""

from device.adapters.relay_seal import Sealer
from wire_protocol import lean, relay
from wire_protocol.errors import WireError

ASK_MS = 3_000  # Until the gateway has stored it; then, to learn what people do:
ASK_STORED_MS = 15_000
FRAMES_MAX = 4  # In one call: the first press, what follows, a cancel.
CARRY_AGAIN_MS = 2_000  # The same frame within this time was heard twice, not said twice.
# Whoever is near may say what he likes, as often as he likes; our own SOS must always find room.
FLYING_MAX = 2  # Of the 3 messages that the link posts and the 4 that it keeps in the air.
CARRY_EACH_MS = 1_000
CARRY_BURST = 4


def call(station) -> int:
    """Hand what of an SOS is not receipted to whoever is near; returns when to call again, in ms.

    What is receipted is repeated from memory while the SOS is open: each repetition asks how far
    the case has come.
    """
    sealer = _sealer(station)
    frames = []
    # Once the flash has failed, what it still holds first.
    for book in (station.logbook.old, station.logbook):
        found = book.message("s", "event", 1) if book else None
        while found and len(frames) < FRAMES_MAX:
            seq, _, message = found
            told = lean.load_any(message)
            if told["record"]["kind"] in ("sos", "sos_cancel"):
                frames.append(sealer.seal(*relay.encode_record(told["low"], told["record"])))
            found = book.message("s", "event", seq + 1)
    wait_ms = ASK_MS
    if frames:
        station.relayed = frames[-1]
    elif station.relayed:
        frames.append(station.relayed)
        wait_ms = ASK_STORED_MS
    for frame in frames:
        station.board.neighbours.send(frame)
    return wait_ms


def take(station, frame: bytes) -> None:
    """Carry a neighbour's frame, or take an answer to ours; what is neither is counted."""
    try:
        kind, _ = relay.parse_header(frame)
        if relay.is_up(kind):
            _carry(station, frame)
        elif station.relayed:
            opened = _sealer(station).open(frame)
            if opened:
                _take_answer(station, relay.decode_answer(*opened))
    except WireError as error:
        station.refused += 1
        print("relay: refused", error)


def _take_answer(station, answer: dict) -> None:
    """Take a receipt or what became of our SOS."""
    if "streams" in answer:
        station.on_receipt(answer)
    else:
        station.kind.on_sos_status(answer)


def _carry(station, frame: bytes) -> None:
    link = station.link
    if not link.up.is_set():
        return
    now = station.clock.uptime_ms()
    heard = frame[relay.HEADER_BYTES : relay.HEADER_BYTES + relay.IV_BYTES]
    known, since, paid = station.carried
    if known == heard and now - since < CARRY_AGAIN_MS:
        return
    # What is left out comes again: who calls repeats it until it is receipted.
    paid = max(paid, now) + CARRY_EACH_MS
    if paid > now + CARRY_BURST * CARRY_EACH_MS:
        return
    for place in range(FLYING_MAX):
        token = ("relay", place)
        if not link.is_flying(token):
            if link.publish("relay", frame, 1, token):
                station.carried = (heard, now, paid)
            return


def _sealer(station) -> Sealer:
    return Sealer(station.board.relay_key)
