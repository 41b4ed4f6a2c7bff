"""The console of a real board: what it prints, line by line, and its raw REPL when asked for.

mpremote's transport opens the port and speaks the raw REPL; between two questions a thread reads
what the application prints. For the flash tool the port can be let go.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from hil_tests.errors import RigError

LINES_MAX = 1_000
_LINE_BYTES_MAX = 4_096
_READ_WAIT_S = 0.1
_ANSWER_WAIT_S = 10.0
_REOPEN_S = 0.5
_PROMPT = b">>> "
_PROMPT_WAIT_S, _PROMPT_TRIES = 2.0, 10


class Console:
    """One serial port to a board.

    Attributes:
        last: The newest lines, for error messages.
    """

    def __init__(self, port: str, baud: int) -> None:
        """Open the port.

        Raises:
            RigError: It cannot be opened.
        """
        self.last: deque[str] = deque(maxlen=20)
        self._port, self._baud = port, baud
        self._lines: deque[str] = deque(maxlen=LINES_MAX)
        self._rest = b""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._transport: SerialTransport | None = self._open()
        self._thread = threading.Thread(target=self._read, name=f"console {port}", daemon=True)
        self._thread.start()

    def lines(self) -> list[str]:
        """Return the lines that came since the last call, oldest first."""
        found = []
        while self._lines:
            found.append(self._lines.popleft())
        return found

    @contextlib.contextmanager
    def let_go(self) -> Iterator[None]:
        """Close the port while somebody else uses it."""
        with self._lock:
            self._close()
            try:
                yield
            finally:
                self._transport = self._open()

    def ask(self, code: str) -> str:
        """Interrupt the application, run code in the raw REPL, return what it printed.

        Raises:
            RigError: The board does not come to its prompt, or the code failed.
        """

        def work(transport: SerialTransport) -> bytes:
            said: bytes = transport.exec(code)
            transport.exit_raw_repl()
            return said

        return self._at_prompt(work).decode(errors="replace")

    def order(self, code: str) -> None:
        """Run code in the raw REPL that never comes back, such as a reset."""

        def work(transport: SerialTransport) -> bytes:
            transport.exec_raw_no_follow(code)
            transport.in_raw_repl = False
            return b""

        self._at_prompt(work)

    def close(self) -> None:
        """Let go for good."""
        self._stopping.set()
        self._thread.join()
        self._close()

    def _at_prompt(self, work: Callable[[SerialTransport], bytes]) -> bytes:
        """Do something at the board's raw prompt.

        Again when the way there fails: Ctrl-C inside a block device written in Python ends in a
        panic and a reset.
        """
        with self._lock:
            for last in (False, False, True):
                transport = self._transport
                if transport is None:
                    raise RigError(f"console {self._port} is closed")
                try:
                    self._interrupt(transport)
                    # mpremote reads as if it could wait for ever.
                    transport.serial.timeout = _ANSWER_WAIT_S
                    transport.enter_raw_repl(soft_reset=False)
                    return work(transport)
                except (TransportError, OSError, serial.SerialException) as error:
                    # What the board's own code says is an answer.
                    if last or isinstance(error, TransportExecError):
                        raise RigError(f"console {self._port}: {error}") from error
                finally:
                    transport.serial.timeout = _READ_WAIT_S
        raise AssertionError("the last try raises")

    def _interrupt(self, transport: SerialTransport) -> None:
        """Press Ctrl-C until there is a prompt: a busy application takes its time."""
        for _ in range(_PROMPT_TRIES):
            transport.serial.write(b"\r\x03")
            said = transport.read_until(1, _PROMPT, timeout=_PROMPT_WAIT_S)
            if said.endswith(_PROMPT):
                return
        raise RigError(f"console {self._port}: no prompt after Ctrl-C; it said {said[-200:]!r}")

    def _open(self) -> SerialTransport:
        try:
            return SerialTransport(self._port, self._baud, timeout=_READ_WAIT_S)
        except (TransportError, OSError, serial.SerialException) as error:
            raise RigError(f"console {self._port}: {error}") from error

    def _close(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(OSError, serial.SerialException):
                self._transport.close()
            self._transport = None

    def _read(self) -> None:
        """Take in lines; lives until `close`. A port on a board's own USB goes with its power."""
        while not self._stopping.is_set():
            try:
                with self._lock:
                    if self._transport is None:
                        self._transport = self._open()
                    port = self._transport.serial
                    data = port.read(1) + port.read(port.in_waiting)
            except (RigError, OSError, serial.SerialException):
                with self._lock:
                    self._close()
                self._stopping.wait(_REOPEN_S)
                continue
            self._take(data)
            # Whoever waits for the lock gets it.
            time.sleep(0.001)

    def _take(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_LINE_BYTES_MAX:]
        for line in whole:
            text = line.decode(errors="replace").strip("\r")
            self._lines.append(text)
            self.last.append(text)
