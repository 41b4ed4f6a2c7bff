"""Runs a link alone: `run_link.py BOARD.json FASTER`; its clock runs FASTER times as fast.

Orders: {"do": "publish", "kind", "text", "qos", "token", "sos"}, {"do": "urgent", "on"},
{"do": "ask"}.
"""

import asyncio
import json
import sys
import time

from bench_board import Board, say
from device.adapters.mqtt_link import Link

FASTER = int(sys.argv[2])


class Owner:
    def will(self, connection):
        return b'{"online":false,"connection":%d}' % connection

    def on_up(self):
        say(up=True)

    def on_room(self):
        pass

    def on_message(self, kind, payload):
        say(message=kind, text=payload.decode())

    def on_puback(self, token):
        say(puback=token)


class FastBoard(Board):
    def uptime_ms(self):
        return time.ticks_ms() * FASTER


async def obey(link):
    lines = asyncio.StreamReader(sys.stdin)
    while True:
        order = json.loads(await lines.readline())
        if order["do"] == "publish":
            text, qos = order["text"].encode(), order.get("qos", 0)
            taken = link.publish(
                order["kind"], text, qos, order.get("token"), order.get("sos", False)
            )
            say(taken=taken)
        elif order["do"] == "urgent":
            link.set_urgent(order["on"])
        elif order["do"] == "ask":
            say(trouble=link.trouble, up_now=link.up.is_set(), connection=link.connection)


async def poke(link):
    was_up = False
    while True:
        await asyncio.sleep_ms(20)
        link.poke()
        if was_up and not link.up.is_set():
            say(down=True)
        was_up = link.up.is_set()


async def main():
    link = Link(FastBoard(sys.argv[1]), Owner())
    tasks = [asyncio.create_task(obey(link)), asyncio.create_task(poke(link))]
    await link.run(lambda: None)
    print(tasks)


asyncio.run(main())
