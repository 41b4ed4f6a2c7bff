"""Plays a day of Bearers: prints what is in use after each step; the clock is the script's."""

import asyncio

from bearers import WIFI_AGAIN_MS, Bearers


class Net:
    def __init__(self, name):
        self.name = name
        self.there = self.connected = False
        self.slow = None

    async def up(self):
        if self.slow:
            await self.slow.wait()
        if not self.there:
            raise OSError(118, "no " + self.name)
        self.connected = True

    def is_up(self):
        return self.connected and self.there

    def down(self):
        self.connected = False

    def rssi_dbm(self):
        return {"wifi": -60, "modem": -95}[self.name]


async def main():
    wifi, modem = Net("wifi"), Net("modem")
    now = [0]
    both = Bearers(wifi, modem, lambda: now[0])

    async def step(what):
        try:
            await both.up()
            print(what, both.is_up(), both.rssi_dbm())
        except OSError as error:
            print(what, error.args[1])

    await step("nothing")
    modem.there = True
    await step("a cell")
    now[0] = WIFI_AGAIN_MS - 1
    wifi.there = True
    both.is_up()
    await asyncio.sleep_ms(1)
    print("soon", both.rssi_dbm())
    now[0] += 1
    both.is_up()
    await asyncio.sleep_ms(1)
    print("found", both.is_up(), both.rssi_dbm(), modem.connected)
    wifi.there = False
    modem.slow = asyncio.Event()
    try:
        await asyncio.wait_for_ms(both.up(), 50)
    except asyncio.TimeoutError:  # noqa: UP041 - another class in MicroPython
        print("the link gives up")
    modem.slow.set()
    await step("still dialling, then")
    alone = Bearers(Net("wifi"), None, lambda: now[0])
    try:
        await alone.up()
    except OSError as error:
        print("alone", error.args[1])


asyncio.run(main())
