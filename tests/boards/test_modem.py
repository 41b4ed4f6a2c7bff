"""The LTE modem's dialogue, against a modem at the wire, in real MicroPython."""

import socket
import subprocess
import threading

import pytest

from tests.boards.conftest import PROGRAMS
from tests.wire_protocol.interpreters import REPOSITORY

SCRIPT = REPOSITORY / "tests" / "boards" / "scripts" / "dial.py"
BOARD = REPOSITORY / "firmware" / "boards" / "esp32_devkit" / "board"
GOOD = {
    "AT": "OK",
    "ATE0": "OK",
    "AT+CPIN?": "+CPIN: READY\r\n\r\nOK",
    "AT+CEREG?": "+CEREG: 0,5\r\nOK",
    "AT+CSQ": "+CSQ: 20,99\r\nOK",
    'AT+CGDCONT=1,"IP","internet"': "OK",
    "ATD*99#": "CONNECT 150000000",
}


class FakeModem:
    """Answers commands; the first of a list is said once, the last for ever."""

    def __init__(self, answers):
        self.heard = []
        self._answers = {name: [said] if isinstance(said, str) else list(said)
                         for name, said in answers.items()}  # fmt: skip
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        line, _ = self._server.accept()
        with line, line.makefile("rb") as reader:
            line.sendall(b"\r\nRDY\r\n")  # What a modem says unasked when it starts.
            for command in reader:
                if command.startswith(b"\x7e"):
                    return
                name = command.decode().strip()
                self.heard.append(name)
                said = self._answers[name]
                answer = said.pop(0) if len(said) > 1 else said[0]
                # Echo is on until ATE0, and lines arrive in pieces.
                text = (
                    f"{command.decode() if len(self.heard) < 3 else ''}\r\n{answer}\r\n".encode()
                )
                line.sendall(text[:5])
                line.sendall(text[5:])

    def close(self):
        self._server.close()
        self._thread.join(10)


@pytest.fixture(params=sorted(PROGRAMS))
def dial(request):
    program, options = PROGRAMS[request.param]
    modems = []

    def run(**changed):
        modem = FakeModem(GOOD | {name.replace("_", "+"): said for name, said in changed.items()})
        modems.append(modem)
        done = subprocess.run(
            [program, *options, str(SCRIPT), str(modem.port)],
            env={"MICROPYPATH": f"{BOARD}:.frozen"}, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return modem, done.stdout.splitlines()

    yield run
    for modem in modems:
        modem.close()


def test_it_dials_and_hangs_up(dial):
    modem, said = dial()
    assert said == ["up True -73", "down False None"]
    assert modem.heard == list(GOOD)


def test_it_waits_for_a_network_to_register_it(dial):
    modem, said = dial(**{"AT+CEREG?": ["+CEREG: 0,2\r\nOK", "+CEREG: 0,1\r\nOK"]})
    assert said[0] == "up True -73"
    assert modem.heard.count("AT+CEREG?") == 2


@pytest.mark.parametrize(
    ("command", "answer", "reason"),
    [
        ("AT+CPIN?", "+CPIN: SIM PIN\r\nOK", "PIN"),
        ("AT+CPIN?", "+CME ERROR: 10", "CME ERROR: 10"),
        ("ATD*99#", "NO CARRIER", "NO CARRIER"),
        ("AT+CSQ", "garbage\r\nERROR", "AT+CSQ"),
    ],
)
def test_what_the_modem_refuses_is_said(dial, command, answer, reason):
    _, said = dial(**{command: answer})
    assert said[0].startswith("refused")
    assert reason in said[0]
