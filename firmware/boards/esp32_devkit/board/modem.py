"""An LTE modem on a UART: AT commands until it dials, then PPP (`network.PPP`).

3GPP TS 27.007: AT+CPIN? (8.3), AT+CEREG? (10.1.22), AT+CGDCONT (10.1.1), AT+CSQ (8.5), ATD*99# (TS
27.007 10.2.1.1). The dialogue is exercised against a modem at the wire in tests/boards; with a
modem of silicon it never ran.
"""

import asyncio
import time

import network

ANSWER_MS = 3_000
REGISTER_MS = 60_000  # A cold modem in bad coverage takes most of a minute.
DIAL_MS = 30_000
PPP_MS = 20_000
_LINE_BYTES_MAX = 256
_HOME, _ROAMING = 1, 5  # Of AT+CEREG?: registered.
_NOT_THERE = 19  # ENODEV
_UNREACHABLE = 118  # EHOSTUNREACH of this port's network stack


class Modem:
    """The modem's connection.

    Args:
        uart: Open at the modem's speed.
        apn: Access point name of the operator.
    """

    def __init__(self, uart, apn: str) -> None:
        self._uart = uart
        self._apn = apn
        self._ppp = None
        self._rssi_dbm = None

    async def up(self) -> None:
        """Return when there is an address; raises OSError if the modem or the network refuses."""
        if self.is_up():
            return
        self.down()
        reader = asyncio.StreamReader(self._uart)
        await self._command(reader, "AT")
        await self._command(reader, "ATE0")
        if "READY" not in await self._command(reader, "AT+CPIN?"):
            raise OSError(_NOT_THERE, "the SIM card asks for its PIN")
        await self._registered(reader)
        self._rssi_dbm = _strength(await self._command(reader, "AT+CSQ"))
        await self._command(reader, 'AT+CGDCONT=1,"IP","{}"'.format(self._apn))
        await self._command(reader, "ATD*99#", "CONNECT", DIAL_MS)
        self._ppp = network.PPP(self._uart)
        self._ppp.active(True)
        self._ppp.connect()
        began = time.ticks_ms()
        while not self._ppp.isconnected():
            if time.ticks_diff(time.ticks_ms(), began) > PPP_MS:
                self.down()
                raise OSError(_UNREACHABLE, "no address over PPP")
            await asyncio.sleep_ms(100)

    def is_up(self) -> bool:
        """Tell whether there is an address now."""
        return self._ppp is not None and self._ppp.isconnected()

    def down(self) -> None:
        """Hang up."""
        if self._ppp is not None:
            try:
                self._ppp.disconnect()
                self._ppp.active(False)
            except OSError as error:
                print("modem:", error)
            self._ppp = None

    def rssi_dbm(self) -> int | None:
        """Signal strength when it dialled: during PPP the modem takes no commands."""
        return self._rssi_dbm if self.is_up() else None

    async def _registered(self, reader) -> None:
        began = time.ticks_ms()
        while True:
            answer = await self._command(reader, "AT+CEREG?")
            if any(",{}".format(state) in answer for state in (_HOME, _ROAMING)):
                return
            if time.ticks_diff(time.ticks_ms(), began) > REGISTER_MS:
                raise OSError(_UNREACHABLE, "not registered: " + answer)
            await asyncio.sleep_ms(1000)

    async def _command(self, reader, text: str, end="OK", wait_ms=ANSWER_MS) -> str:
        """Send one command; return what the modem said before it ended with `end`.

        Raises:
            OSError: It said ERROR, or nothing for too long.
        """
        self._uart.write(text.encode() + b"\r\n")
        try:
            return await asyncio.wait_for_ms(_answer(reader, text, end), wait_ms)
        except asyncio.TimeoutError:
            raise OSError(_NOT_THERE, "the modem does not answer " + text) from None


async def _answer(reader, text: str, end: str) -> str:
    said = []
    while True:
        line = (await reader.readline())[:_LINE_BYTES_MAX].strip()
        if line.startswith(end.encode()):
            return " ".join(said)
        if line in (b"ERROR", b"NO CARRIER", b"BUSY") or line.startswith(b"+CME ERROR"):
            raise OSError(_NOT_THERE, "the modem refuses {}: {}".format(text, str(line)))
        if line and line != text.encode():
            said.append(str(line, "utf-8"))


def _strength(answer: str) -> int | None:
    """Return dBm of `+CSQ: n,m` (27.007 8.5: 0 is -113 dBm, 2 dB a step, 99 not known)."""
    try:
        step = int(answer.split(":", 1)[1].split(",", 1)[0])
    except (IndexError, ValueError):
        return None
    return None if step > 31 else 2 * step - 113
