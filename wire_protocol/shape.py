"""Checks what JSON held against a table; the server uses it where a message enters.

A shape is a tuple: `("int", low, high)`, `("text", bytes)`, `("bool",)`, `("one", names)`,
`("hex", digits)`, `("null", shape)` for the shape or null, `("list", shape, least, most)`,
`("map", names or None, shape, most)`, `("object", {name: shape})`, in which an
`("optional", shape)` may be missing, and `("data", depth)` for anything small. Names that an
object's table does not list are left out: a newer peer may say more.
"""

import json

from wire_protocol.errors import WireError
from wire_protocol.lean import MESSAGE_BYTES_MAX

try:
    from typing import Any

    Shape = tuple[Any, ...]
    Value = Any  # What JSON can hold.
    Json = dict[str, Any]  # A JSON object.
except ImportError:  # MicroPython, which reads no annotations
    Shape, Value, Json = tuple, object, dict

U32 = ("int", 0, 0xFFFFFFFF)
SEQ = ("int", 1, 0xFFFFFFFF)
AT_MS = ("int", 0, 0xFFFFFFFF * 1000 + 999)
FLAG = ("bool",)
HEX_ID = ("hex", 16)

_KEY_BYTES_MAX = 40
_ITEMS_MAX = 32
_DATA_INT = ("int", -(1 << 53), 1 << 53)  # What JavaScript can count.


def dump(value: Json) -> bytes:
    """Return compact JSON, as bytes; WireError if no message may be like that."""
    try:
        payload = _dumps(value).encode()
    except ValueError as error:  # Half of a surrogate pair
        raise WireError(f"message cannot be written: {error}") from None
    if len(payload) > MESSAGE_BYTES_MAX:
        raise WireError(f"message of {len(payload)} bytes, not 0..{MESSAGE_BYTES_MAX}")
    return payload


def check(value: Value, shape: Shape, what: str) -> Value:
    """Return what of a value its shape knows; WireError says what is wrong, and where."""
    return _CHECKS[shape[0]](value, shape, what)


def _wrong(value: Value, wanted: str, what: str) -> WireError:
    return WireError(f"{what} is {repr(value)[:40]}, not {wanted}")


def _null(value: Value, shape: Shape, what: str) -> Value:
    return None if value is None else check(value, shape[1], what)


def _int(value: Value, shape: Shape, what: str) -> Value:
    # Not isinstance: to CPython a bool is an int.
    if type(value) is not int or not shape[1] <= value <= shape[2]:
        raise _wrong(value, f"{shape[1]}..{shape[2]}", what)
    return value


def _bool(value: Value, _shape: Shape, what: str) -> Value:
    if value is not True and value is not False:
        raise _wrong(value, "true or false", what)
    return value


def _one(value: Value, shape: Shape, what: str) -> Value:
    if type(value) is not str or value not in shape[1]:
        raise _wrong(value, " | ".join(shape[1]), what)
    return value


def _text(value: Value, shape: Shape, what: str) -> Value:
    if type(value) is not str:
        raise _wrong(value, "text", what)
    try:
        size = len(value.encode())
    except ValueError:  # Half of a surrogate pair
        size = shape[1] + 1
    # A zero byte ends a text in C and cannot be stored in PostgreSQL.
    if size > shape[1] or "\0" in value:
        raise WireError(f"{what} is not text of 0..{shape[1]} bytes of UTF-8 without zeros")
    return value


def _hex(value: Value, shape: Shape, what: str) -> Value:
    if type(value) is not str or len(value) != shape[1]:
        raise _wrong(value, f"{shape[1]} hexadecimal digits", what)
    if any(digit not in "0123456789abcdef" for digit in value):
        raise _wrong(value, f"{shape[1]} hexadecimal digits", what)
    return value


def _object(value: Value, shape: Shape, what: str) -> Value:
    if type(value) is not dict:
        raise _wrong(value, "a JSON object", what)
    found = {}
    for name, inner in shape[1].items():
        if name in value:
            found[name] = check(value[name], inner, name)
        elif inner[0] != "optional":
            raise WireError(f"{what} has no {name}")
    return found


def _optional(value: Value, shape: Shape, what: str) -> Value:
    return check(value, shape[1], what)


def _list(value: Value, shape: Shape, what: str) -> Value:
    if type(value) is not list or not shape[2] <= len(value) <= shape[3]:
        raise _wrong(value, f"a list of {shape[2]}..{shape[3]}", what)
    return [check(item, shape[1], what) for item in value]


def _map(value: Value, shape: Shape, what: str) -> Value:
    if type(value) is not dict or len(value) > shape[3]:
        raise _wrong(value, f"a JSON object of 0..{shape[3]}", what)
    for name in value:
        if shape[1] is not None:
            _one(name, shape, what)
        _text(name, ("text", _KEY_BYTES_MAX), what)
    return {name: check(item, shape[2], what) for name, item in value.items()}


def _data(value: Value, shape: Shape, what: str) -> Value:
    depth = shape[1]
    if value is None or value is True or value is False:
        return value
    if type(value) is int:
        return _int(value, _DATA_INT, what)
    if type(value) is str:
        return _text(value, ("text", MESSAGE_BYTES_MAX), what)
    if depth and type(value) is list:
        return _list(value, ("list", ("data", depth - 1), 0, _ITEMS_MAX), what)
    if depth and type(value) is dict:
        return _map(value, ("map", None, ("data", depth - 1), _ITEMS_MAX), what)
    raise _wrong(value, "anything that a message may hold", what)


_CHECKS = {
    "null": _null,
    "int": _int,
    "bool": _bool,
    "one": _one,
    "text": _text,
    "hex": _hex,
    "object": _object,
    "optional": _optional,
    "list": _list,
    "map": _map,
    "data": _data,
}

try:
    json.dumps(0, ensure_ascii=False)

    def _dumps(value: Value) -> str:
        """CPython: Chinese text as UTF-8, half the bytes of escapes."""
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

except TypeError:

    def _dumps(value: Value) -> str:
        """MicroPython: UTF-8 anyway, and the option is unknown."""
        return json.dumps(value, separators=(",", ":"))
