"""Stands in for `device.start`: uses everything a board offers and tells it back as a status."""

import asyncio
import sys

_KEPT = "/journal/count"


def run(board):
    asyncio.run(_main(board))


async def _main(board):
    board.status("identity", [
        board.device_id, board.certificate_der.hex(), board.key_der.hex(), board.ca_der.hex(),
    ])  # fmt: skip
    board.status("config", board.config)
    board.status("reset_reason", board.reset_reason())
    board.status("rtc_s", board.rtc_s())
    board.status("journal_lost", board.journal_lost)
    board.status("paths", sys.path)
    board.status("count", _count())
    board.screen(("ready",))
    if board.receiver:
        asyncio.create_task(_receive(board))
    dog = None
    while True:
        name, action = await board.next_input()
        board.screen((name, action))
        if name == "crash":
            raise ValueError("as asked")
        if name == "dog":
            dog = board.watchdog(300)
            board.status("dog", dog is not None)
        elif name == "connect":
            asyncio.create_task(_connect(board))
        elif name == "look":
            board.light(((1, 2),))
            board.status("smoke", board.sensor_read("smoke"))
            board.status("battery", board.battery_mv())
            board.status("rssi", board.rssi_dbm())
            board.status("files", _exists("/etc/passwd"))


def _count():
    """How often this journal was booted with."""
    try:
        with open(_KEPT) as file:
            count = int(file.read()) + 1
    except OSError:
        count = 1
    with open(_KEPT, "w") as file:
        file.write(str(count))
    return count


def _exists(path):
    try:
        open(path).close()
    except OSError:
        return False
    return True


async def _receive(board):
    buffer, pieces, total, tail = bytearray(256), [], 0, b""
    while True:
        count = await board.receiver.readinto(buffer)
        total += count
        tail = (tail + buffer[:count])[-2000:]
        pieces = (pieces + [count])[-50:]
        board.status("received", total)
        board.status("tail", tail.hex())
        board.status("pieces", pieces)


async def _connect(board):
    try:
        await board.network_up()
        board.status("connected", "up")
        reader, _ = await asyncio.open_connection("127.0.0.1", board.config["broker_port"])
        board.status("connected", "yes")
        data = await reader.read(10)
        board.status("connected", "closed" if not data else "data")
    except OSError as error:
        board.status("connected", "error %s" % error.errno)
        if len(error.args) > 1:
            board.status("refusal", error.args[1])
