"""Plays a chip whose heap has no piece of more than 8 KB; run by MicroPython from beside the ROM.

    micropython -X heapsize=... small_pieces.py FOLDER

Before anything is loaded, the whole heap is filled with small lists, and of these one is kept
every 8 KB. MicroPython moves nothing: from then on no block that is larger can be had, at any
time, by whomever, and who asks for one gets a MemoryError. Then the launcher runs as ever.
"""

import gc

PIECE_BYTES = 8192
_PIN_BYTES = 32  # A list with room for four.
_PINS_MAX = 64
_SPARE = 128  # Lists that are given back at once: an address is a big integer and takes memory.


def fill() -> list:  # type: ignore[type-arg] # MicroPython has no generics.
    """Return lists in a chain, one holding the other, as many as there is memory for."""
    newest: list = [None]  # type: ignore[type-arg]
    try:
        while True:
            newest = [newest]
    except MemoryError:
        return newest


def pin(kept: list) -> None:  # type: ignore[type-arg]
    """Keep one small list every PIECE_BYTES; returns when all others are forgotten."""
    newest = fill()
    for _ in range(_SPARE):
        newest = newest[0]
    at = last = 0
    while newest:
        older, newest[0] = newest[0], None
        # The next one would be too far from the last that is kept; they lie in a row.
        if older is None or abs(id(older) - last) > PIECE_BYTES + _PIN_BYTES:
            kept[at] = newest
            last = id(newest)
            at += 1
        newest = older


pins = [None] * _PINS_MAX
gc.collect()
pin(pins)
gc.collect()

import launcher  # type: ignore[import-not-found] # noqa: E402, F401 - it runs the device
