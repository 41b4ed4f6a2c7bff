"""What light, vibration and tone say: patterns of (on, off) in ms, told apart without reading.

Light goes on and on, vibration and tone play once. The four steps of an SOS differ in number and
length, so that each is known by sight alone, by touch alone and by ear alone:
open: one long; sent: two short; stored: three short; taken: two long; help: long, short, long.
"""

_S, _L = 150, 600  # Short, long.

# name -> (light, vibration and tone)
PATTERNS = {
    "off": ((), ()),
    "duty_on": (((50, 4950),), ((_S, 0),)),
    "duty_off": ((), ((_L, 0),)),
    "open": (((100, 100),), ((1000, 0),)),
    "sent": (((_S, _S), (_S, 1000)), ((_S, _S), (_S, 0))),
    "stored": (((_S, _S), (_S, _S), (_S, 1000)), ((_S, _S), (_S, _S), (_S, 0))),
    "taken": (((_L, _L), (_L, 1500)), ((_L, 300), (_L, 0))),
    "help": (((_L, _S), (_S, _S), (_L, 2000)), ((_L, 200), (_S, 200), (_L, 0))),
    "closed": ((), ((_S, _S),) * 4),
    "message": (((_S, 2850),), ((_S, 100), (_S, 600)) * 2),
    "alarm": (((300, 300),), ((500, 500),) * 10),
    "fault": (((50, 150), (50, 2750)), ((50, 50),) * 5),
}


def show(board, name: str, silent: bool, again: bool = True) -> None:
    """Play a pattern on a board.

    Args:
        board: With `light`, `vibrate` and `tone`.
        name: A key of PATTERNS.
        silent: Vibration only: no light and no tone may betray the wearer.
        again: False sets the light alone, as after a restart.
    """
    light, once = PATTERNS[name]
    board.light(() if silent else light)
    if again:
        board.vibrate(once)
        board.tone(() if silent else once)
