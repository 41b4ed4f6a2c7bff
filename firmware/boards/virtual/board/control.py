"""The control socket: hands, eyes and a screwdriver for the virtual board.

One JSON object a line over TCP on loopback, answered by one line: `{"ok": true, ...}` or
`{"error": "..."}`. The port stands in the file `control.port` of the device's folder.
"""

import asyncio
import json
import os
import sys

import rig

_LINE_BYTES_MAX = 16384
_PORT_FIRST, _PORT_COUNT = 10000, 22000  # Below the range from which Linux takes outgoing ports.
_TRIES_MAX = 50  # With 14,000 devices on one machine a try finds a free port 1 time in 3.


class Control:
    """Serves the control socket for as long as the device runs."""

    def __init__(self, board) -> None:
        self._board = board
        self._then = None
        self._do = {
            "press": self._press,
            "release": self._release,
            "set": self._set,
            "battery": self._battery,
            "show": self._show,
            "receiver": self._receiver,
            "link": self._link,
            "clock": self._clock,
            "reset": self._reset,
            "power_off": self._power_off,
        }

    def start(self) -> None:
        """Open the socket as soon as the application's loop runs."""
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        radio = sys.modules["socket"]
        for _ in range(_TRIES_MAX):
            port = _PORT_FIRST + int.from_bytes(os.urandom(4), "little") % _PORT_COUNT
            try:
                radio.spare_next()
                await asyncio.start_server(self._serve, "127.0.0.1", port)
                break
            except OSError:
                continue
        else:
            print("control: no free port")
            return
        with rig.open_file("control.port.new", "w") as file:
            file.write(str(port))
        rig.rename("control.port.new", "control.port")

    async def _serve(self, reader, writer) -> None:
        """Answer one caller until it goes; lives as long as its connection."""
        try:
            while True:
                line = await reader.readline()
                if not line or len(line) > _LINE_BYTES_MAX:
                    return
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                line = None  # Not held while the caller thinks: the heap is the chip's.
                await writer.drain()
                if self._then:
                    self._then()
        except OSError:
            pass  # The caller went away.
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict:
        try:
            done = await self._obey(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"error": repr(error)}
        answer = {"ok": True}
        answer.update(done or {})
        return answer

    async def _obey(self, asked: dict) -> dict | None:
        if asked.get("device") != self._board.device_id:
            raise ValueError("this is " + self._board.device_id)
        if asked["do"] == "feed":
            data = asked["nmea"].encode() if "nmea" in asked else bytes.fromhex(asked["hex"])
            return await self._board.receiver.feed(data)
        return self._do[asked["do"]](asked)

    def _press(self, asked: dict) -> None:
        self._board.put_input(asked["input"], "press")

    def _release(self, asked: dict) -> None:
        self._board.put_input(asked["input"], "release")

    def _set(self, asked: dict) -> None:
        value = asked["value"]
        if value is not None and not isinstance(value, int):
            raise ValueError("value is %r, not a whole number" % value)
        rig.witness("sensor", asked["sensor"], value)
        self._board.sensors[asked["sensor"]] = value

    def _battery(self, asked: dict) -> None:
        self._board.battery = int(asked["mv"])

    def _show(self, _asked: dict) -> dict:
        board = self._board
        shown = dict(board.shown)
        shown["device"] = board.device_id
        shown["link"] = board.network_is_up()
        shown["battery_mv"] = board.battery
        shown["sensors"] = board.sensors
        shown["uptime_ms"] = board.uptime_ms()
        shown["journal"] = board.journal_state
        if board.receiver:
            shown["fed"] = board.receiver.fed
        return shown

    def _receiver(self, asked: dict) -> None:
        self._board.receiver.set_mode(asked["mode"])

    def _link(self, asked: dict) -> None:
        self._board.switch_network(asked["up"] is True, asked.get("bearer", "wifi"))

    def _clock(self, asked: dict) -> None:
        self._board.set_rtc(int(asked["unix_s"]))

    def _reset(self, _asked: dict) -> None:
        self._then = self._board.reset

    def _power_off(self, _asked: dict) -> None:
        self._then = rig.power_off
