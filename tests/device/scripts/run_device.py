"""Runs a whole device: `run_device.py BOARD.json`."""

import asyncio
import sys

import bench_board
from device import start


async def main():
    board = bench_board.Board(sys.argv[1])
    station = board.station = start.make(board)
    board.task = asyncio.create_task(board.obey())
    bench_board.say(started=station.logbook.boot, epoch=station.logbook.journal.epoch)
    await station.supervisor.run()


asyncio.run(main())
