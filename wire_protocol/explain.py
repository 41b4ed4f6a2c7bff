"""Says in words what a frame means, good or bad; for people, so on the server's side only.

`xunhu wire decode` prints it. Each line has English and Chinese side by side.
"""

import json

from wire_protocol import (
    blocks,
    clock,
    columns,
    frames,
    messages,
    readings_decode,
    records,
    sensors,
    topics,
    track_decode,
    words,
)
from wire_protocol.errors import WireError
from wire_protocol.shape import Json, Value

LINES_MAX = 400  # Of one frame; a batch has 60 rows.

_BINARY = {"track": frames.TRACK, "reading": frames.READING}
_PARSERS = {
    "state": messages.parse_state,
    "receipt": messages.parse_receipt,
    "command": messages.parse_command,
    "sos_status": messages.parse_sos_status,
    "watch": messages.parse_watch,
    "mute": messages.parse_mute,
    "event": records.unwrap,
    "result": records.unwrap,
    "block_request": blocks.parse_request,
}
# A name that only this kind of message has, for frames that come without a topic.
_TELLING = (
    ("record", "event"),
    ("streams", "receipt"),
    ("ttl_s", "command"),
    ("lease_s", "watch"),
    ("for_s", "mute"),
    ("status", "sos_status"),
    ("connection", "state"),
)


def explain(topic: str | None, payload: bytes) -> str:
    """Return what a frame means, a fact a line.

    Args:
        topic: Where it was published; None if unknown, then it is guessed from the bytes.
        payload: The message, or a bare sealed record.
    """
    lines = []
    kind = None
    if topic is not None:
        try:
            device, way, kind = topics.parse(topic)
            english, chinese = words.KINDS[kind]
            verb = ("sends", "上报") if way == "up" else ("is told", "接收")
            lines.append(f"{device} {verb[0]} {english} · {device} {verb[1]}{chinese}")
        except WireError as error:
            lines.append(_bad(error))
    if kind is None:
        kind = guess(payload)
        english, chinese = words.KINDS.get(kind, ("something unknown", "未知内容"))
        lines.append(f"no topic, it looks like {english} · 无主题,疑为{chinese}")
    lines.append(f"{len(payload)} bytes · {len(payload)} 字节")
    if kind in _BINARY:
        lines.extend(_binary(kind, payload))
    elif kind in _PARSERS:
        lines.extend(_json(kind, payload))
    elif kind == "block":
        lines.extend(_piece(payload))
    else:
        lines.append("its content is not described here · 此处不解释其内容")
        lines.append(_hex(payload))
    return "\n".join(lines[:LINES_MAX])


def guess(payload: bytes) -> str:
    """Return the kind of a payload that came without a topic; "unknown" if nothing fits."""
    if payload[:1].strip() == b"{":
        try:
            names = json.loads(payload)
        except (ValueError, RuntimeError):
            names = ()
        for name, kind in _TELLING:
            if name in names:
                return kind
        return "unknown"
    for at in (frames.ENVELOPE_BYTES, 0):
        head = payload[at : at + 2]
        for kind, code in _BINARY.items():
            if head == bytes((frames.VERSION, code)):
                return kind
    return "unknown"


def _binary(kind: str, payload: bytes) -> list[str]:
    lines = []
    record = payload
    # A bare record begins with its version and kind; an envelope with low.
    if payload[:2] != bytes((frames.VERSION, _BINARY[kind])):
        try:
            low, record = frames.open_envelope(payload)
            lines.append(
                f"the device still holds all from seq {low} on · 设备仍保存序号 {low} 起的记录"
            )
        except WireError as error:
            lines.append(_bad(error))
            record = payload[frames.ENVELOPE_BYTES :]
    else:
        lines.append("a bare record without its envelope · 无信封的记录")
    lines.extend(_header(record))
    try:
        if kind == "track":
            lines.extend(_fixes(track_decode.decode(record)))
        else:
            lines.extend(_readings(readings_decode.decode(record)))
    except WireError as error:
        lines.append(_bad(error))
        lines.append(_hex(payload))
    return lines


def _header(record: bytes) -> list[str]:
    try:
        head = frames.header(record)
    except WireError:  # The decoder behind says it again, with the reason.
        return []
    quality = clock.NAMES[head.clock] if head.clock < len(clock.NAMES) else f"{head.clock}?"
    english, chinese = words.CLOCKS.get(quality, ("unknown", "未知"))
    last = head.seq + head.count - 1
    return [
        f"version {head.version}, kind {head.kind} · 版本 {head.version},类型 {head.kind}",
        f"epoch {head.epoch:#010x}, seq {head.seq}..{last}: {head.count} records"
        f" · 纪元 {head.epoch:#010x},序号 {head.seq}..{last},共 {head.count} 条",
        f"clock {quality}, {english} · 时钟 {quality},{chinese}",
    ]


def _fixes(batch: track_decode.TrackBatch) -> list[str]:
    lines = []
    for seq, fix in enumerate(batch.fixes, batch.seq):
        speed = "-" if fix.speed_cms is None else f"{_fixed(fix.speed_cms, 2)} m/s"
        course = "-" if fix.course_deg is None else f"{fix.course_deg} deg"
        radius = "-" if fix.accuracy_m is None else f"within {fix.accuracy_m} m"
        if fix.accuracy_m == 254:
            radius += " or more"
        place = f"{_fixed(fix.lat_e6, 6)} {_fixed(fix.lon_e6, 6)}"
        lines.append(
            f"{seq}  {_time(fix.at_ms, batch.clock)}  {place}  {speed}  {course}  {radius}"
        )
    return lines


def _readings(batch: readings_decode.ReadingBatch) -> list[str]:
    lines = []
    for seq, row in enumerate(batch.readings, batch.seq):
        name = sensors.name(row.kind)
        what = f"{name} {words.SENSORS[name]} = {row.value} {sensors.unit(name)}"
        lines.append(f"{seq}  {_time(row.at_ms, batch.clock)}  {what}")
    return lines


def _piece(payload: bytes) -> list[str]:
    try:
        piece = blocks.parse_piece(payload)
    except WireError as error:
        return [_bad(error), _hex(payload)]
    block = "manifest 清单" if piece.block == blocks.MANIFEST else f"block 块 {piece.block}"
    head = f"release 版本 {piece.release}, {block}"
    if not piece.pieces:
        reason = bytes(piece.data).decode(errors="replace")
        return [f"{head}: refused 被拒绝: {reason}"]
    return [f"{head}, piece 片 {piece.piece} of 共 {piece.pieces}", _hex(piece.data)]


def _json(kind: str, payload: bytes) -> list[str]:
    try:
        found: Value = _PARSERS[kind](payload)
    except WireError as error:
        return [_bad(error), repr(payload[:400])]
    if kind in ("event", "result"):
        low, record = records.unwrap(payload)
        english, chinese = words.EVENTS[record["kind"]]
        lines = [f"{english} · {chinese}"]
        lines.extend(_fields({"low": low, "record": record}, ""))
        return lines
    return _fields(found, "")


def _fields(value: Json, indent: str) -> list[str]:
    lines = []
    for name, inner in value.items():
        english, chinese = words.FIELDS.get(name, (name, ""))
        label = f"{indent}{english} {chinese}".rstrip()
        if isinstance(inner, dict) and inner:
            lines.append(f"{label}:")
            lines.extend(_fields(inner, indent + "  "))
        else:
            lines.append(f"{label}: {_value(name, inner)}")
    return lines


def _value(name: str, value: Value) -> str:
    if value is None:
        return "- (unknown or none · 未知或无)"
    if name in ("at", "issued"):
        return f"{value} = {_time(value, clock.SERVER)}"
    if name in ("lat", "lon"):
        return f"{value} = {_fixed(value, 6)}"
    if name == "clock":
        return f"{value}, {' · '.join(words.CLOCKS[value])}"
    if name == "sensor":
        return f"{value} {words.SENSORS[value]}"
    return json.dumps(value, ensure_ascii=False)


def _fixed(value: int, decimals: int) -> str:
    """Return an integer in 10**-decimals with its point, no float between."""
    whole, rest = divmod(abs(value), 10**decimals)
    return f"{'-' if value < 0 else ''}{whole}.{rest:0{decimals}}"


def _time(at_ms: int, quality: int) -> str:
    """Return UTC, or the uptime of a device without a clock."""
    if quality == clock.NONE:
        return f"uptime {_fixed(at_ms, 3)} s"
    if not 0 <= at_ms <= columns.AT_MS_MAX:
        return "out of range"
    days, ms = divmod(at_ms, 86_400_000)
    # Days since 0000-03-01: a leap day is the last of its year.
    days += 719_468
    era, day = divmod(days, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    year += era * 400 + month // 10
    month = (month + 2) % 12 + 1
    clock_time = f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{_fixed(ms % 60_000, 3):0>6}"
    return f"{year:04}-{month:02}-{day:02} {clock_time}Z"


def _bad(error: WireError) -> str:
    return f"BAD: {error} · 不符合协议"


def _hex(payload: bytes) -> str:
    more = "" if len(payload) <= 64 else f" ... {len(payload) - 64} more · 另有"
    return payload[:64].hex(" ") + more
