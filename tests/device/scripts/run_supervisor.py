"""Runs a supervisor with one task that fails: `run_supervisor.py JSON`; no time is waited for.

JSON: {"task": name, "dies_ms": how long each life lasts, "receipt_ms": between receipts or 0,
"sos_until_ms": when the SOS that is open ends, "until_ms": when the script ends}; says at the end
how often it crashed, when the supervisor gave up (null: never), and when the start was well.
"""

import asyncio
import json
import sys

from device.errors import DeviceError
from device.supervisor import Supervisor

given = json.loads(sys.argv[1])
now_ms = 0
really_sleep_ms = asyncio.sleep_ms


async def sleep_ms(wait_ms):
    """Wait in the script's own time, of which the earliest sleeper takes the next step."""
    until = now_ms + wait_ms
    sleepers.append(until)
    while now_ms < until:
        await really_sleep_ms(0)
    sleepers.remove(until)


asyncio.sleep_ms = sleep_ms
sleepers = []


class Board:
    fed = 0

    def uptime_ms(self):
        return now_ms

    def watchdog(self, _timeout_ms):
        return self

    def feed(self):
        self.fed += 1


class Kept:
    def load(self, _name, default=None):
        return default

    def save(self, _name, _value):
        pass


async def pass_time():
    """Let everybody run, then go to when the next one wakes."""
    global now_ms  # noqa: PLW0603 - the script's one clock
    while True:
        for _ in range(10):
            await really_sleep_ms(0)
        later = [until for until in sleepers if until > now_ms]
        if later:
            now_ms = min(later)


async def receipts(supervisor):
    while given["receipt_ms"]:
        await sleep_ms(given["receipt_ms"])
        supervisor.well()


async def main():
    crashes, well = [], []

    def say(gave_up_ms, why):
        said = {"crashes": len(crashes), "gave_up_ms": gave_up_ms, "why": why, "well": well}
        print(json.dumps(said))
        sys.exit(0)

    async def fail(beat):
        beat()
        await sleep_ms(given["dies_ms"])
        crashes.append(now_ms)
        raise ValueError("it always does")

    async def live(beat):
        while True:
            beat()
            await sleep_ms(1000)

    async def end():
        await sleep_ms(given["until_ms"])
        say(None, "")

    supervisor = Supervisor(Board(), Kept(), 1)
    supervisor.on_well = lambda: well.append(now_ms)
    supervisor.is_needed = lambda: now_ms < given["sos_until_ms"]
    for name in ("link", "sender", "tick", "buttons"):
        supervisor.add(name, fail if name == given["task"] else live, 60)
    tasks = [asyncio.create_task(work) for work in (pass_time(), receipts(supervisor), end())]
    try:
        await supervisor.run()
    except DeviceError as error:
        say(now_ms, str(error))
    print(tasks)


asyncio.run(main())
