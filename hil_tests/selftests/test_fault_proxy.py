"""Each fault of the proxy, seen from both ends of a plain connection."""

import contextlib
import socket
import threading
import time

import pytest

from hil_tests.errors import RigError
from hil_tests.fault_proxy import FaultNetwork, Line
from hil_tests.faults import Faults


class Echo:
    """A broker of sorts: sends back what it hears, and notes how connections ended."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.heard = []
        self.ended = []
        self.pieces = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return self.listener.getsockname()

    def close(self):
        # shutdown wakes the accept; close alone would leave it listening.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                while data := connection.recv(4096):
                    self.heard.append(data)
                    self.pieces.append(len(data))
                    connection.sendall(data)
                self.ended.append(("closed", time.monotonic()))
            except OSError:
                self.ended.append(("reset", time.monotonic()))


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def network():
    with FaultNetwork() as network:
        yield network


@pytest.fixture
def line(network, echo) -> Line:
    return network.line(echo.address)


def connect(line) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", line.port), 10)
    made.settimeout(10)
    return made


def said_back(device, data=b"hello") -> float:
    """Seconds until all of it came back."""
    begun_s = time.monotonic()
    device.sendall(data)
    back = b""
    while len(back) < len(data):
        more = device.recv(65536)
        assert more, "closed"
        back += more
    assert back == data
    return time.monotonic() - begun_s


def until(claim, what, wait_s=10.0):
    deadline_s = time.monotonic() + wait_s
    while not claim():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.01)


def test_without_faults_everything_passes_both_ways(line, echo):
    with connect(line) as device:
        assert said_back(device, bytes(range(256)) * 1000) < 5
    until(lambda: [how for how, _ in echo.ended] == ["closed"], "the close is passed on")
    assert line.counts.bytes == 2 * 256_000


def test_latency_delays_each_way_and_jitter_keeps_the_order(line):
    line.set(Faults(latency_ms=150, jitter_ms=100))
    with connect(line) as device:
        assert said_back(device) >= 0.3
        for number in range(5):
            device.sendall(b"%d" % number)
            time.sleep(0.01)
        back = b""
        while len(back) < 5:
            back += device.recv(10)
        assert back == b"01234"


def test_the_lost_share_of_connections_is_the_one_that_was_asked_for(line):
    line.set(Faults(loss=0.5, loss_bytes=100))
    lost = 0
    for _ in range(60):
        with connect(line) as device:
            try:
                said_back(device, bytes(200))
            except (ConnectionResetError, AssertionError):
                lost += 1
    assert 15 <= lost <= 45  # Seeded: the same every time.
    assert line.counts.lost == lost


def test_the_same_seed_loses_the_same_connections(network, echo):
    found = []
    for _ in range(2):
        line = network.line(echo.address, seed=7)
        line.set(Faults(loss=0.3, loss_bytes=1))
        lives = []
        for _ in range(20):
            try:
                with connect(line) as device:
                    said_back(device)
                lives.append(True)
            except (ConnectionResetError, AssertionError):
                lives.append(False)
        found.append(lives)
    assert found[0] == found[1]
    assert {True, False} == set(found[0])


def test_a_black_hole_holds_everything_and_gives_it_back(line, echo):
    with connect(line) as device:
        said_back(device)
        line.set(Faults(black_hole=True))
        device.sendall(b"into the hole")
        device.settimeout(0.5)
        with pytest.raises(TimeoutError):
            device.recv(1)
        device.settimeout(10)
        line.heal()
        assert device.recv(100) == b"into the hole"
    assert b"into the hole" in b"".join(echo.heard)


def test_nothing_new_gets_through_a_black_hole_either(line, echo):
    line.set(Faults(black_hole=True))
    with connect(line) as device:
        device.sendall(b"hello")
        time.sleep(0.3)
        assert echo.heard == []
        line.heal()
        assert device.recv(5) == b"hello"


def test_reset_comes_after_so_many_bytes_at_both_ends(line, echo):
    line.set(Faults(reset_bytes=1000))
    with connect(line) as device:
        said_back(device, bytes(400))
        with pytest.raises(ConnectionResetError):
            said_back(device, bytes(400))
    until(lambda: [how for how, _ in echo.ended] == ["reset"], "the broker sees a reset")
    assert line.counts.reset == 1


def test_reset_at_once_cuts_what_is_open_and_heal_ends_it(line):
    with connect(line) as device:
        said_back(device)
        line.set(Faults(reset_bytes=0))
        with pytest.raises(ConnectionResetError):
            device.recv(1)
    line.heal()
    with connect(line) as device:
        said_back(device)


def test_a_slow_close_reaches_the_broker_late(line, echo):
    with connect(line) as device:
        said_back(device)
        begun_s = time.monotonic()
        line.set(Faults(slow_close_s=0.7))
        assert device.recv(1) == b""
        assert time.monotonic() - begun_s < 0.5
        until(lambda: echo.ended, "the broker hears of it")
        how, at_s = echo.ended[0]
        assert how == "closed"
        assert at_s - begun_s >= 0.7


def test_half_open_leaves_the_device_in_its_belief(line, echo):
    with connect(line) as device:
        said_back(device)
        line.set(Faults(half_open=True))
        until(lambda: echo.ended, "the broker's end is gone")
        device.sendall(b"anybody?")
        device.settimeout(0.5)
        with pytest.raises(TimeoutError):
            device.recv(1)
        line.heal()
        with pytest.raises(TimeoutError):
            device.recv(1)
        assert line.counts.swallowed == len(b"anybody?")
    with connect(line) as again:
        said_back(again)


def test_bandwidth_bounds_each_way(line):
    line.set(Faults(bandwidth_bytes_s=10_000))
    with connect(line) as device:
        assert 0.4 <= said_back(device, bytes(5_000)) < 5


def test_writes_arrive_in_slices(line, echo):
    line.set(Faults(slice_bytes=1))
    with connect(line) as device:
        said_back(device, bytes(1000))
    # The kernel may join neighbours, so only the number of pieces is asked.
    assert len(echo.pieces) > 20


def test_refused_is_no_network_at_all(line):
    with connect(line) as device:
        said_back(device)
        line.set(Faults(refuse=True))
        with pytest.raises(ConnectionResetError):
            device.recv(1)
    with pytest.raises((ConnectionResetError, AssertionError)), connect(line) as device:
        said_back(device)
    assert line.counts.refused >= 2


def test_a_broker_that_is_away_shows_as_a_reset(network, echo):
    port = echo.address[1]
    echo.close()
    line = network.line(("127.0.0.1", port))
    with pytest.raises((ConnectionResetError, AssertionError)), connect(line) as device:
        said_back(device)


def test_a_port_that_is_taken_is_said(network, line):
    with pytest.raises(RigError, match="cannot listen"):
        network.line(("127.0.0.1", 1), listen=("127.0.0.1", line.port))
