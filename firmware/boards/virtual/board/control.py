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

    def __init__(self, board):
        self._board = board
        self._then = None
        self._do = {
            "press": self._press,
            "release": self._release,
            "set": self._set,
            "battery": self._battery,
            "show": self._show,
            "feed": self._feed,
            "receiver": self._receiver,
            "link": self._link,
            "clock": self._clock,
            "reset": self._reset,
            "power_off": self._power_off,
        }

    def start(self):
        """Open the socket as soon as the application's loop runs."""
        asyncio.create_task(self._listen())

    async def _listen(self):
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

    async def _serve(self, reader, writer):
        """Answer one caller until it goes; lives as long as its connection."""
        try:
            while True:
                line = await reader.readline()
                if not line or len(line) > _LINE_BYTES_MAX:
                    return
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
                if self._then:
                    self._then()
        except OSError:
            pass  # The caller went away.
        finally:
            writer.close()

    async def _answer(self, line):
        try:
            asked = json.loads(line)
            if asked.get("device") != self._board.device_id:
                raise ValueError("this is " + self._board.device_id)
            done = self._do[asked["do"]](asked)
            if asked["do"] == "feed":
                await done
                done = None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"error": repr(error)}
        answer = {"ok": True}
        answer.update(done or {})
        return answer

    def _press(self, asked):
        self._board.put_input(asked["input"], "press")

    def _release(self, asked):
        self._board.put_input(asked["input"], "release")

    def _set(self, asked):
        value = asked["value"]
        if value is not None and not isinstance(value, int):
            raise ValueError("value is %r, not a whole number" % value)
        rig.witness("sensor", asked["sensor"], value)
        self._board.sensors[asked["sensor"]] = value

    def _battery(self, asked):
        self._board.battery = int(asked["mv"])

    def _show(self, asked):
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

    def _feed(self, asked):
        data = asked["nmea"].encode() if "nmea" in asked else bytes.fromhex(asked["hex"])
        return self._board.receiver.feed(data)

    def _receiver(self, asked):
        self._board.receiver.set_mode(asked["mode"])

    def _link(self, asked):
        self._board.switch_network(asked["up"] is True)

    def _clock(self, asked):
        self._board.set_rtc(int(asked["unix_s"]))

    def _reset(self, asked):
        self._then = self._board.reset

    def _power_off(self, asked):
        self._then = rig.power_off
