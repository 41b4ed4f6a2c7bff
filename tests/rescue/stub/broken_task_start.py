"""Stands in for `device.start`: the real application, whose sender always raises."""

import asyncio

from device.services.sender import Sender as Broken
from device.services.station import Station


class _Raises:
    async def run(self, _beat):
        raise ValueError("this release cannot do it")


def run(board):
    from device.making import put_together

    Broken.run = _Raises.run
    station = put_together(board, __file__.rsplit("/", 2)[0], Station)
    asyncio.run(station.supervisor.run())
