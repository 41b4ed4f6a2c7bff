"""Stands in for `asyncio`: the same tasks in the same order, but time passes only when asked to.

What the device uses of asyncio, no more. An exception that leaves a task leaves `advance`, too.
"""


class CancelledError(BaseException):
    """As in asyncio."""


class TimeoutError(Exception):  # noqa: A001 - asyncio's own name
    """As in asyncio."""


class Event:
    """As in asyncio."""

    def __init__(self):
        self._is_set = False
        self._waiting = []

    def is_set(self):
        return self._is_set

    def clear(self):
        self._is_set = False

    def set(self):
        self._is_set = True
        waiting, self._waiting = self._waiting, []
        for task, turn in waiting:
            # One that was cancelled meanwhile waits for something else by now.
            if turn == task.turn:
                _schedule(task, now_ms)

    def wait(self):
        while not self._is_set:
            yield self


class Task:
    """One coroutine that runs beside the others."""

    def __init__(self, work):
        self.work = work
        self.turn = 0  # Only the last time that it was scheduled counts.
        self.error = None
        self.is_done = False

    def cancel(self):
        self.error = CancelledError()
        _schedule(self, now_ms)

    def done(self):
        return self.is_done

    def step(self):
        error, self.error = self.error, None
        try:
            wanted = self.work.throw(error) if error else self.work.send(None)
        except (StopIteration, CancelledError):
            self.is_done = True
            return
        if isinstance(wanted, Event):
            wanted._waiting.append((self, self.turn))
        else:
            _schedule(self, now_ms + wanted)


now_ms = 0
_queue = []  # (time, turn, task), the next one last
_turns = 0


def create_task(work):
    """As in asyncio."""
    task = Task(work)
    _schedule(task, now_ms)
    return task


def run(work):
    """As in asyncio, but it returns at once: `advance` runs the task."""
    create_task(work)


def sleep_ms(ms):
    """As in asyncio."""
    yield max(0, ms)


def sleep(seconds):
    """As in asyncio."""
    yield int(seconds * 1000)


async def wait_for_ms(work, ms):
    """As in asyncio, for what can be asked every 10 ms whether it is ready."""
    task = create_task(work)
    until_ms = now_ms + ms
    while not task.is_done:
        if now_ms >= until_ms:
            task.cancel()
            raise TimeoutError
        await sleep_ms(10)


def restart():
    """Forget every task, as a power cut does."""
    global _queue  # noqa: PLW0603 - one processor
    _queue = []


def advance(ms):
    """Let time pass: everything that is due in it happens."""
    global now_ms  # noqa: PLW0603 - one time
    until_ms = now_ms + ms
    while _queue and _queue[-1][0] <= until_ms:
        at_ms, turn, task = _queue.pop()
        now_ms = max(now_ms, at_ms)
        if turn == task.turn and not task.is_done:
            task.step()
    now_ms = until_ms


def leap(ms):
    """Let time pass at once: what was due in it is late, and happens when time passes again."""
    global now_ms  # noqa: PLW0603 - one time
    now_ms += ms


def _schedule(task, at_ms):
    global _turns  # noqa: PLW0603 - one order
    _turns += 1
    task.turn = _turns
    place = len(_queue)
    while place and _queue[place - 1][0] <= at_ms:
        place -= 1
    _queue.insert(place, (at_ms, _turns, task))
