"""Plays a chip whose idle time passes SPEED times as fast; run by MicroPython, beside the ROM.

    XUNHU_SPEED=400 micropython -X heapsize=... fast_chip.py FOLDER

Stands in for `time` and `select` before anything is loaded. What the program works takes the time
that it takes; what asyncio waits for is over after 1/SPEED of it. Between two turns of the loop
nothing of the program is on the way; there, once a simulated minute, a line

    heap MINUTE FREE LONGEST_US

says the heap that is free after a collection, and the longest stretch of CPU that one turn has
taken in that minute. At SPEED 1 all is as ever, but for those lines.

With XUNHU_COUNT=1 the collector is off, and a second line a minute,

    bytes MINUTE BYTES FIXES

says what all turns of that minute have allocated, and how many fixes the receiver told. The turns
of what plays the receiver do not count.
"""

import gc
import os
import select
import sys
import time

SPEED = int(os.getenv("XUNHU_SPEED") or 1)
EVERY_MS = int(os.getenv("XUNHU_HEAP_EVERY_MS") or 60_000)
COUNTS = os.getenv("XUNHU_COUNT") == "1"
_HELD_BYTES_MAX = 1_000_000  # Collected beyond: counting looks at each block of the heap.
_LONGEST_MS = 60_000  # Waited at once; somebody else may come.


class Clock:
    """Counts what has passed: what the program took, and what it waited for."""

    def __init__(self):
        self.ms = 0  # Since the start.
        self._first = self._last = time.ticks_ms()
        self._began_s = int(time.time())

    def now_ms(self):
        """Milliseconds since the start."""
        now = time.ticks_ms()
        self.ms += time.ticks_diff(now, self._last)
        self._last = now
        return self.ms

    def ticks_ms(self):
        """As the chip counts.

        They begin with the real ones and run ahead of them: asyncio's queue, which is C, dates
        with the real ones what is to run at once, and so has it in the past.
        """
        return time.ticks_add(self._first, self.now_ms())

    def waited(self, ms):
        """So long has passed, and how long it really took does not count."""
        self.ms += ms
        self._last = time.ticks_ms()

    def time(self):
        """Unix seconds."""
        return self._began_s + self.now_ms() // 1000

    def time_ns(self):
        """Unix nanoseconds."""
        return self._began_s * 1_000_000_000 + self.now_ms() * 1_000_000


class StandIn:
    """A module with some names replaced."""

    def __init__(self, module, names):
        self._module = module
        for name in names:
            # MicroPython imports no method by its name, but functions.
            setattr(self, name, names[name])

    def __getattr__(self, name):
        return getattr(self._module, name)


class Count:
    """The bytes that turns allocate, whoever collects meanwhile."""

    def __init__(self):
        self.bytes = self.fixes = 0
        self._turn = self._last = 0
        self._plays = False

    def begin(self):
        """A turn begins."""
        if gc.mem_alloc() > _HELD_BYTES_MAX:
            gc.collect()
        self._turn, self._plays = 0, False
        self._last = gc.mem_alloc()

    def end(self):
        """It is over."""
        self._turn += gc.mem_alloc() - self._last
        if not self._plays:
            self.bytes += self._turn

    def collect(self):
        """Stand in for `gc.collect`."""
        self._turn += gc.mem_alloc() - self._last
        gc.collect()
        self._last = gc.mem_alloc()

    def witness(self, *words):
        """Stand in for `rig.witness`, which hears of each fix that the receiver tells."""
        if words[0] == "fed":
            self.fixes += 1
            self._plays = True

    def tell(self, minute):
        """Say what there was since this was called last."""
        print("bytes", minute, self.bytes, self.fixes)
        self.bytes = self.fixes = 0


class Poll:
    """`select.poll()` of the loop, which waits here and nowhere else."""

    def __init__(self):
        self._poll = POLL()
        self.register, self.modify = self._poll.register, self._poll.modify
        self.unregister = self._poll.unregister
        self._owed_us = 0  # Of real time, for what was waited already.
        self._due_ms = 0
        self._turn_us, self._turn_s = time.ticks_us(), time.clock()
        self._longest_us = 0

    def ipoll(self, wait_ms):
        """Wait for streams, or for so long; never for ever."""
        if COUNTS:
            count.end()
        # By the wall, but no more than CPU it took, which is known to the millisecond: on a busy
        # machine others run in between.
        stretch_us = time.ticks_diff(time.ticks_us(), self._turn_us)
        if stretch_us > self._longest_us:
            cpu_us = int((time.clock() - self._turn_s) * 1_000_000) + 1_000
            self._longest_us = max(self._longest_us, min(stretch_us, cpu_us))
        if clock.ms >= self._due_ms:
            self._tell()
        ready = self._poll.poll(0) if wait_ms == 0 else self._wait(wait_ms)
        self._turn_us, self._turn_s = time.ticks_us(), time.clock()
        if COUNTS:
            count.begin()
        return ready

    def _wait(self, wait_ms):
        if wait_ms < 0 or wait_ms > _LONGEST_MS:
            wait_ms = _LONGEST_MS
        if SPEED == 1:
            return self._poll.poll(wait_ms)
        self._owed_us += wait_ms * 1000 // SPEED
        real_ms = self._owed_us // 1000
        clock.now_ms()  # Up to here it worked.
        began_us = time.ticks_us()
        ready = self._poll.poll(real_ms)
        waited_us = time.ticks_diff(time.ticks_us(), began_us)
        if ready:
            clock.waited(min(wait_ms, waited_us * SPEED // 1000))
            self._owed_us = max(0, self._owed_us - wait_ms * 1000 // SPEED)
        else:
            clock.waited(wait_ms)
            self._owed_us -= real_ms * 1000
        return ready

    def _tell(self):
        if COUNTS:
            count.tell(clock.ms // 60_000)
        gc.collect()
        print("heap", clock.ms // 60_000, gc.mem_free(), self._longest_us)
        self._longest_us = 0
        self._due_ms = clock.ms // EVERY_MS * EVERY_MS + EVERY_MS


POLL = select.poll
clock = Clock()
count = Count()
sys.modules["time"] = StandIn(
    time,
    {
        "ticks_ms": lambda: clock.ticks_ms(),  # noqa: PLW0108
        "time": lambda: clock.time(),  # noqa: PLW0108
        "time_ns": lambda: clock.time_ns(),  # noqa: PLW0108
        "sleep": lambda seconds: clock.waited(int(seconds * 1000)),
        "sleep_ms": lambda ms: clock.waited(ms),  # noqa: PLW0108
    },
)
sys.modules["select"] = StandIn(select, {"poll": Poll})
if COUNTS:
    import rig  # type: ignore[import-not-found]

    gc.disable()
    sys.modules["gc"] = StandIn(gc, {"collect": count.collect})
    rig.witness = count.witness

import launcher  # type: ignore[import-not-found] # noqa: E402, F401 - it runs the device
