"""Checks what JSON held against a table; both ends use it where a message enters.

A shape is a tuple: `("int", low, high)`, `("text", bytes)`, `("bool",)`, `("one", names)`,
`("null", shape)` for the shape or null, `("list", shape, most)`, `("map", names or None, shape,
most)`, `("object", {name: shape})` and `("data", depth)` for anything small. Names that a table
does not list are left out: a newer peer may say more.
"""

import json

from wire_protocol.errors import WireError

try:
    from typing import Any
except ImportError:  # MicroPython, which reads no annotations
    pass

MESSAGE_BYTES_MAX = 4096  # No JSON message of ours needs half of it.
U32 = ("int", 0, 0xFFFFFFFF)
SEQ = ("int", 1, 0xFFFFFFFF)
AT_MS = ("int", 0, 0xFFFFFFFF * 1000 + 999)
FLAG = ("bool",)
HEX_ID = ("hex", 16)

_KEY_BYTES_MAX = 40
_ITEMS_MAX = 32


def load(payload: bytes, what: str) -> "dict[str, Any]":
    """Return the object in a JSON message; WireError if it is none."""
    if len(payload) > MESSAGE_BYTES_MAX:
        raise WireError(f"{what} of {len(payload)} bytes, not 0..{MESSAGE_BYTES_MAX}")
    try:
        value = json.loads(str(payload, "utf-8"))
    except (ValueError, RuntimeError) as error:  # RuntimeError: nested too deep
        raise WireError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise WireError(f"{what} is not a JSON object")
    return value


def dump(value: "dict[str, Any]") -> bytes:
    """Return compact JSON, as bytes; WireError if it is longer than any message may be."""
    payload = _dumps(value).encode()
    if len(payload) > MESSAGE_BYTES_MAX:
        raise WireError(f"message of {len(payload)} bytes, not 0..{MESSAGE_BYTES_MAX}")
    return payload


def check(value: "Any", shape: "Any", what: str) -> "Any":
    """Return what of a value its shape knows; WireError says what is wrong, and where."""
    kind = shape[0]
    if kind == "null":
        return None if value is None else check(value, shape[1], what)
    if kind == "int":
        if type(value) is not int or not shape[1] <= value <= shape[2]:
            raise WireError(f"{what} is {_short(value)}, not {shape[1]}..{shape[2]}")
        return value
    if kind == "text":
        return _text(value, shape[1], what)
    if kind == "one":
        if type(value) is not str or value not in shape[1]:
            raise WireError(f"{what} is {_short(value)}, not {' | '.join(shape[1])}")
        return value
    if kind == "bool":
        if value is not True and value is not False:
            raise WireError(f"{what} is {_short(value)}, not true or false")
        return value
    if kind == "hex":
        return _hex(value, shape[1], what)
    if kind == "data":
        return _data(value, shape[1], what)
    return _many(value, shape, what)


def _many(value: "Any", shape: "Any", what: str) -> "Any":
    kind = shape[0]
    if type(value) is not (list if kind == "list" else dict):
        raise WireError(f"{what} is {_short(value)}, not a JSON {kind}")
    if kind == "object":
        found = {}
        for name, inner in shape[1].items():
            if name not in value:
                raise WireError(f"{what} has no {name}")
            found[name] = check(value[name], inner, f"{what}.{name}")
        return found
    if len(value) > shape[-1]:
        raise WireError(f"{what} has {len(value)} items, not 0..{shape[-1]}")
    if kind == "list":
        return [check(item, shape[1], what) for item in value]
    for name in value:
        if shape[1] is not None and name not in shape[1]:
            raise WireError(f"{what} names {_short(name)}")
        _text(name, _KEY_BYTES_MAX, what)
    return {name: check(item, shape[2], what) for name, item in value.items()}


def _text(value: "Any", most: int, what: str) -> str:
    if type(value) is not str:
        raise WireError(f"{what} is {_short(value)}, not text")
    try:
        size = len(value.encode())
    except ValueError:  # Half of a surrogate pair
        size = most + 1
    # A zero byte ends a text in C and cannot be stored in PostgreSQL.
    if size > most or "\0" in value:
        raise WireError(f"{what} is not text of 0..{most} bytes of UTF-8 without zeros")
    return value


def _hex(value: "Any", digits: int, what: str) -> str:
    if type(value) is not str or len(value) != digits:
        raise WireError(f"{what} is {_short(value)}, not {digits} hexadecimal digits")
    for digit in value:
        if digit not in "0123456789abcdef":
            raise WireError(f"{what} is {_short(value)}, not {digits} hexadecimal digits")
    return value


def _data(value: "Any", depth: int, what: str) -> "Any":
    if value is None or value is True or value is False:
        return value
    if type(value) is int:
        return check(value, ("int", -(1 << 53), 1 << 53), what)
    if type(value) is str:
        return _text(value, MESSAGE_BYTES_MAX, what)
    if depth and type(value) is list:
        return check(value, ("list", ("data", depth - 1), _ITEMS_MAX), what)
    if depth and type(value) is dict:
        return check(value, ("map", None, ("data", depth - 1), _ITEMS_MAX), what)
    raise WireError(f"{what} holds {_short(value)}, which no record may")


def _short(value: "Any") -> str:
    return repr(value)[:40]


try:
    json.dumps(0, ensure_ascii=False)

    def _dumps(value: "Any") -> str:
        """CPython: Chinese text as UTF-8, half the bytes of escapes."""
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

except TypeError:

    def _dumps(value: "Any") -> str:
        """MicroPython: UTF-8 anyway, and the option is unknown."""
        return json.dumps(value, separators=(",", ":"))
