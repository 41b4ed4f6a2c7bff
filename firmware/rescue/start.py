"""Where the rescue agent begins."""

import gc

GC_THRESHOLD_BYTES = 8_192


def run(reason: str) -> None:
    """Run the agent for ever.

    Args:
        reason: application: no slot holds one; journal: it cannot be mounted; boots: three failed.
    """
    gc.threshold(GC_THRESHOLD_BYTES)
    # First, because a board may hold memory for what is needed later.
    from board import open_board

    board = open_board()
    gc.collect()
    from rescue.agent import Agent

    Agent(board, reason).run()
