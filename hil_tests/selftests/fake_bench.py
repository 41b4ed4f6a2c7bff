"""A bench whose wires are pseudo-terminals: what no machine of ours has is faked at the wire only.

A relay that understands LCUS frames, a chip whose ROM answers esptool (SLIP, the serial protocol
of the ESP32's boot loader) and writes a flash file, and behind the same console the real unix port
of MicroPython, which boots from that file, runs the real firmware and answers Ctrl-C with its own
REPL. Everything above the wires is the bench's own code, mpremote, pyserial and esptool.
"""

import contextlib
import hashlib
import json
import os
import pty
import selectors
import signal
import struct
import subprocess
import termios
import threading
import time
import tty
import zlib
from pathlib import Path

from provisioning.control import Control, ControlError
from provisioning.fleet import micropython_program
from provisioning.partitions import FLASH_BYTES

LAUNCHER = Path(__file__).parents[2] / "firmware" / "boards" / "virtual" / "rom" / "launcher.py"
POWER, SOS, DUTY, OK = 1, 2, 3, 4


class Wire:
    """One serial line: `path` is what the bench opens, `master` our end of it."""

    def __init__(self):
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)  # No echo before somebody has set it up.
        self.path = os.ttyname(self._slave)

    def close(self):
        os.close(self.master)
        os.close(self._slave)


class Rom:
    """The chip's serial boot loader: enough of it for `esptool write-flash`.

    Espressif, "Serial Protocol": SLIP frames, `00 | op | size u16 | checksum u32 | data` is
    answered by `01 | op | size u16 | value u32 | data | status 4 bytes`.
    """

    SYNC, READ_REG, MD5 = 0x08, 0x0A, 0x13
    BEGIN, DATA, END = (0x02, 0x10), (0x03, 0x11), (0x04, 0x12)
    CHIP = (0x40001000, 0x00F01D83)  # Register and value: "I am an ESP32."

    def __init__(self, flash: Path, write):
        self._flash, self._write = flash, write
        self._frame = None
        self._escaped = False
        self._at = 0
        self._inflate = None
        self.written = 0

    def feed(self, data: bytes):
        for raw in data:
            byte = raw
            if byte == 0xC0:
                if self._frame:
                    self._obey(bytes(self._frame))
                    self._frame = None
                else:
                    self._frame = bytearray()
            elif self._frame is not None:
                if self._escaped:
                    byte = {0xDC: 0xC0, 0xDD: 0xDB}[byte]
                    self._escaped = False
                elif byte == 0xDB:
                    self._escaped = True
                    continue
                self._frame.append(byte)

    def _obey(self, frame: bytes):
        _, op, _, _ = struct.unpack_from("<BBHI", frame)
        data = frame[8:]
        if op == self.SYNC:
            for _ in range(8):
                self._answer(op, value=1)
            return
        value, more = 0, b""
        if op == self.READ_REG:
            register, said = self.CHIP
            value = said if struct.unpack_from("<I", data)[0] == register else 0
        elif op in self.BEGIN:
            _, _, _, self._at = struct.unpack_from("<IIII", data)
            self._inflate = zlib.decompressobj() if op == 0x10 else None
        elif op in self.DATA:
            size = struct.unpack_from("<I", data)[0]
            content = data[16 : 16 + size]
            self._program(self._inflate.decompress(content) if self._inflate else content)
        elif op == self.MD5:
            at, size = struct.unpack_from("<II", data)
            with self._flash.open("rb") as file:
                file.seek(at)
                more = hashlib.md5(file.read(size)).hexdigest().encode()
        self._answer(op, value, more)

    def _program(self, content: bytes):
        with self._flash.open("r+b") as file:
            file.seek(self._at)
            file.write(content)
        self._at += len(content)
        self.written += len(content)

    def _answer(self, op: int, value: int = 0, more: bytes = b""):
        body = struct.pack("<BBHI", 1, op, len(more) + 4, value) + more + bytes(4)
        escaped = body.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        self._write(b"\xc0" + escaped + b"\xc0")


class FakeBench:
    """One board, its relay, its receiver line; a context manager."""

    def __init__(self, home: Path, device: str):
        self.folder = home / "devices" / device
        self.folder.mkdir(parents=True)
        (self.folder / "flash.bin").write_bytes(b"\xff" * FLASH_BYTES)
        receiver = {"kind": "feed", "seed": 3, "slice_bytes": 64}
        rig = {"sensors": {}, "battery_mv": 3900, "link_up": True, "receiver": receiver,
               "witness": True}  # fmt: skip
        (self.folder / "rig.json").write_text(json.dumps(rig))
        self.relay, self.console, self.receiver = Wire(), Wire(), Wire()
        self.rom = Rom(self.folder / "flash.bin", lambda data: os.write(self.console.master, data))
        self.frames = []  # What the relay was told.
        self.starts = []  # "rom" | "run" for each time the power came.
        self._closed = set()
        self._control = Control(self.folder)
        self._in_rom = False
        self._process = None
        self._tty = None
        self._typed = b""
        self._witness_at = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()
        self._end()
        for wire in (self.relay, self.console, self.receiver):
            wire.close()

    def witness(self):
        """What the rig of the chip noted, for a test to compare."""
        lines = (self.folder / "witness.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def _run(self):
        with selectors.DefaultSelector() as selector:
            for wire in (self.relay, self.console, self.receiver):
                selector.register(wire.master, selectors.EVENT_READ, wire)
            while not self._stopping.is_set():
                for key, _ in selector.select(0.02):
                    self._take(key.data, os.read(key.fd, 4096))
                self._look()

    def _take(self, wire: Wire, data: bytes):
        if wire is self.relay:
            for at in range(0, len(data), 4):
                self._switch(data[at : at + 4])
        elif wire is self.receiver:
            if self._process:
                self._tell(lambda: self._control.feed(data))
        elif self._in_rom:
            self.rom.feed(data)
        elif self._tty is not None:
            self._typed += data

    def _switch(self, frame: bytes):
        self.frames.append(frame)
        start, channel, closed, checksum = frame
        assert start == 0xA0
        assert (start + channel + closed) & 0xFF == checksum
        (self._closed.add if closed else self._closed.discard)(channel)
        if channel == POWER:
            self._power(on=bool(closed))
        elif self._process:
            name = {SOS: "sos", DUTY: "duty", OK: "ok"}[channel]
            hand = self._control.press if closed else self._control.release
            self._tell(lambda: hand(name))

    def _tell(self, what):
        # Where the application does not listen yet, nobody notices the button.
        with contextlib.suppress(ControlError):
            what()

    def _power(self, *, on: bool):
        self._end()
        self._in_rom = on and OK in self._closed  # GPIO0 is low.
        if on:
            self.starts.append("rom" if self._in_rom else "run")
            if not self._in_rom:
                self._start()

    def _start(self):
        self._tty, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[1] &= ~termios.OPOST  # The chip ends its lines itself.
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        # setsid makes it the owner of this terminal, so that Ctrl-C interrupts it. -i: as on the
        # chip, the prompt waits behind an application that was interrupted.
        program = ["setsid", "--ctty", micropython_program(), "-i"]
        self._process = subprocess.Popen(
            [*program, str(LAUNCHER), str(self.folder)],
            stdin=slave, stdout=slave, stderr=slave, cwd=self.folder,
        )  # fmt: skip
        os.close(slave)

    def _catches_ctrl_c(self):
        """Tell whether Ctrl-C would interrupt: while it starts it would kill."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return bool(caught >> (signal.SIGINT - 1) & 1)

    def _type(self):
        """Hand on what the bench typed, as its prompt can take it.

        The unix port switches its terminal back and forth around every line and throws away what
        came meanwhile; a chip's UART does not. So only Ctrl-C is passed on while it is busy, and
        it is given time after each control character.
        """
        while self._typed and self._tty is not None:
            busy = termios.tcgetattr(self._tty)[3] & termios.ICANON
            if busy and not (3 in self._typed and self._catches_ctrl_c()):
                return
            if busy:
                self._typed = self._typed[self._typed.index(3) :]
            byte, self._typed = self._typed[:1], self._typed[1:]
            os.write(self._tty, byte)
            if byte < b" ":
                time.sleep(0.01)

    def _end(self):
        self._typed = b""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._tty is not None:
            os.close(self._tty)
            self._tty = None

    def _look(self):
        """Pass on what the chip prints, and start it again when it resets itself."""
        if self._tty is None:
            return
        self._print()
        self._type()
        self._print_screens()
        if (self.folder / "reset.txt").exists() or self._process.poll() is not None:
            # It asked for a reset, and under -i waits at its prompt for ever; or it ended, as a
            # chip does with a panic and a reset.
            time.sleep(0.05)
            self._print()
            self._end()
            self._start()

    def _print(self):
        os.set_blocking(self._tty, False)
        # Nothing to read, or it has ended.
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self._tty, 4096):
                os.write(self.console.master, data)

    def _print_screens(self):
        """As a board without a display: the lines of the screen go to the console."""
        path = self.folder / "witness.jsonl"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._witness_at)
            data = file.read().rpartition(b"\n")[0]
        if not data:
            return
        self._witness_at += len(data) + 1
        for line in data.splitlines():
            _, what, *words = json.loads(line)
            if what == "screen":
                os.write(self.console.master, f"screen: {' | '.join(words)}\r\n".encode())
