"""Stands in for `device.start`: an application that fails as soon as it runs."""


def run(board):
    board.screen(("about to fail",))
    raise ValueError("this release is broken")
