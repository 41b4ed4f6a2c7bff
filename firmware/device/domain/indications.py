"""What light, vibration and tone say: patterns of (on, off) in ms, told apart without reading.

Light goes on and on, vibration and tone play once. Each is known by sight alone, by touch alone
and by ear alone, by how many signs it has, and whether they are short or long; docs/firmware.md
has them all, and tests/device/test_indications.py holds that no two are alike.
"""

# name -> (light, vibration and tone): on and off in turn, in units of 50 ms. Written as texts
# because nested tuples would take five times the memory.
PATTERNS = {
    "off": ("", ""),
    "duty_on": ("1 99", "3 0"),
    "duty_off": ("", "12 4 3 0"),
    "open": ("2 2", "20 0"),
    "sent": ("3 3 3 20", "3 3 3 0"),
    "stored": ("3 3 3 3 3 20", "3 3 3 3 3 0"),
    "taken": ("12 6 12 30", "12 6 12 0"),
    "help": ("12 3 3 3 12 40", "12 4 4 4 12 0"),
    "closed": ("", "3 3 3 3 3 3 3 0"),
    "message": ("12 48", "3 2 3 16 3 2 3 0"),
    "ring": ("4 4", "3 3 10 0"),
    "alarm": ("8 8", "10 6 10 6 10 6 10 0"),
    "fault": ("3 3 3 3 3 3 3 40", "3 3 3 3 3 3 3 3 3 0"),
}
_UNIT_MS = 50


def pattern(text: str) -> tuple:
    """Return a pattern as boards take it: pairs of (on, off) in ms."""
    times = [int(word) * _UNIT_MS for word in text.split()]
    return tuple([(times[i], times[i + 1]) for i in range(0, len(times), 2)])


def show(board, name: str, silent: bool, again: bool = True) -> None:
    """Play a pattern on a board.

    Args:
        board: With `light`, `vibrate` and `tone`.
        name: A key of PATTERNS; any other (an SOS that was refused) is shown as a fault.
        silent: Vibration only: no light and no tone may betray the wearer.
        again: False sets the light alone, as after a restart.
    """
    light, once = [pattern(text) for text in PATTERNS.get(name, PATTERNS["fault"])]
    board.light(() if silent else light)
    if again:
        board.vibrate(once)
        board.tone(() if silent else once)
