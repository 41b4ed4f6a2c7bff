"""Rig files: which boards there are, and what is wired to them; docs/hil.md has every field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil_tests.errors import FileError
from hil_tests.faults import NONE, Faults, read_faults
from hil_tests.fields import Table
from hil_tests.scenario_file import BUTTONS, DEVICE_KINDS
from wire_protocol.errors import WireError
from wire_protocol.topics import check_device_id

BACKENDS = ("virtual", "bench")
BOARDS_MAX, RELAYS_MAX, COPIES_MAX, NETWORKS_MAX = 64, 16, 64, 8
CHANNELS_MAX = 16  # The largest LCUS board that is sold.
BAUDS = (9_600, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600)
HEAPS = ("host", "chip", "pieces")
BOOTLOADERS = ("none", "button", "lines")
# Where an ESP32 board's inputs can be wired to a relay, beside the buttons.
CONTACTS = ("motion", "door")


@dataclass(frozen=True)
class Wire:
    """One contact of a relay."""

    relay: str
    channel: int


@dataclass(frozen=True)
class BoardSpec:
    """One board of a rig.

    Attributes:
        device: The device id that it is flashed with; None: a new one for each run (virtual).
        copies: So many virtual boards of this description.
        heap: Of a virtual board: chip: 32-bit MicroPython with as much as the chip leaves;
            pieces: and none of it in a piece of more than 8 KB; host: as much as there is.
        console, receiver: Serial ports.
        power: Which contact switches it; None: it is always on.
        buttons: sos, duty, ok; and motion, door of a sensor node.
        bootloader: button: OK is wired to GPIO0, which is held while the power comes; lines: DTR
            and RTS of its port reset it; none: it is never flashed.
        esptool: Options for every call.
    """

    name: str
    backend: str
    kind: str
    device: str | None = None
    copies: int = 1
    heap: str = "host"
    console: str = ""
    console_baud: int = 115_200
    receiver: str = ""
    receiver_baud: int = 9_600
    power: Wire | None = None
    buttons: Mapping[str, Wire] = field(default_factory=dict)
    bootloader: str = "none"
    esptool: tuple[str, ...] = ()
    target: str = "esp32_devkit"


@dataclass(frozen=True)
class Rig:
    """A rig file.

    Attributes:
        home: Where authority and stores are; None: made for the run and thrown away.
        listen: Address at which boards find the fault proxy.
        first_port: Of as many ports as there are boards; 0 lets the system choose.
        wifi: Networks that the boards are flashed with.
        faults: What is wrong with the network all the time.
        relays: Name -> serial port.
    """

    name: str
    boards: tuple[BoardSpec, ...]
    home: Path | None = None
    listen: str = "127.0.0.1"
    first_port: int = 0
    wifi: tuple[tuple[str, str], ...] = ()
    faults: Faults = NONE
    relays: Mapping[str, str] = field(default_factory=dict)


def load_rig(path: Path) -> Rig:
    """Read a rig file.

    Raises:
        FileError: It is malformed; file, field and limit are named.
    """
    table = Table.load(path)
    name = table.text("name")
    servers = table.table("servers", optional=True)
    home = servers.text("home", None)
    servers.finish()
    network = table.table("network", optional=True)
    relays = _relays(table)
    boards = tuple(_board(row, relays) for row in table.tables("board", BOARDS_MAX, least=1))
    rig = Rig(
        name=name,
        boards=boards,
        home=None if home is None else (path.parent / home).resolve(),
        listen=network.text("listen", "127.0.0.1", characters_max=45),
        first_port=network.whole("first_port", 0, 65_535 - BOARDS_MAX, 0),
        wifi=tuple(_wifi(row) for row in network.tables("wifi", NETWORKS_MAX)),
        faults=read_faults(network.table("faults", optional=True)),
        relays=relays,
    )
    network.finish()
    table.finish()
    _check_once(path, rig)
    return rig


def _wifi(table: Table) -> tuple[str, str]:
    found = (
        table.text("ssid", characters_max=32),
        table.text("password", "", characters_max=63),
    )
    table.finish()
    return found


def _relays(table: Table) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in table.tables("relay", RELAYS_MAX):
        name = row.text("name")
        row.text("protocol", "lcus", among=("lcus",))
        if name in found:
            raise row.wrong("name", f"{name!r} is given twice")
        found[name] = row.text("port")
        row.finish()
    return found


def _board(table: Table, relays: Mapping[str, str]) -> BoardSpec:
    backend = table.text("backend", among=BACKENDS)
    name, kind = table.text("name"), table.text("kind", "terminal", among=DEVICE_KINDS)
    if backend == "virtual":
        copies = table.whole("copies", 1, COPIES_MAX, 1)
        heap = table.text("heap", "host", among=HEAPS)
        table.finish()
        return BoardSpec(name, backend, kind, copies=copies, heap=heap)
    buttons = table.table("buttons", optional=True)
    for button in buttons.names():
        if button not in (*BUTTONS, *CONTACTS):
            raise buttons.wrong(button, f"is none of {', '.join((*BUTTONS, *CONTACTS))}")
    spec = BoardSpec(
        name=name,
        backend=backend,
        kind=kind,
        device=_device(table, kind),
        console=table.text("console"),
        console_baud=_baud(table, "console_baud", 115_200),
        receiver=table.text("receiver", ""),
        receiver_baud=_baud(table, "receiver_baud", 9_600),
        power=_wire(table.table("power"), relays) if table.has("power") else None,
        buttons={name: _wire(buttons.table(name), relays) for name in buttons.names()},
        bootloader=table.text("bootloader", "none", among=BOOTLOADERS),
        esptool=_options(table),
        target=table.text("target", "esp32_devkit"),
    )
    if spec.bootloader == "button" and not (spec.power and "ok" in spec.buttons):
        raise table.wrong("bootloader", "'button' needs [board.power] and [board.buttons] ok")
    table.finish()
    return spec


def _device(table: Table, kind: str) -> str:
    device: str = table.text("device")
    try:
        check_device_id(device)
    except WireError as error:
        raise table.wrong("device", str(error)) from error
    start = "t-" if kind == "terminal" else "s-"
    if not device.startswith(start):
        raise table.wrong("device", f"{device!r}: a {kind} begins with {start}")
    return device


def _baud(table: Table, name: str, default: int) -> int:
    baud: int = table.whole(name, BAUDS[0], BAUDS[-1], default)
    if baud not in BAUDS:
        raise table.wrong(name, f"{baud} is none of {', '.join(map(str, BAUDS))}")
    return baud


def _wire(table: Table, relays: Mapping[str, str]) -> Wire:
    relay = table.text("relay")
    if relay not in relays:
        raise table.wrong("relay", f"{relay!r} is no [[relay]]; there are {', '.join(relays)}")
    wire = Wire(relay, table.whole("channel", 1, CHANNELS_MAX))
    table.finish()
    return wire


def _options(table: Table) -> tuple[str, ...]:
    value = table.any("esptool", [])
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise table.wrong("esptool", f"{value!r} is no list of texts")
    return tuple(value)


def _check_once(path: Path, rig: Rig) -> None:
    """One port, one contact, one device id: each belongs to one board."""
    used: list[Any] = []
    for board in rig.boards:
        used += [("board", board.name)]
        used += [("port", port) for port in (board.console, board.receiver) if port]
        used += [("device", board.device)] if board.device else []
        wires = [*board.buttons.values(), *([board.power] if board.power else [])]
        used += [("relay channel", f"{wire.relay} {wire.channel}") for wire in wires]
    used += [("port", port) for port in rig.relays.values()]
    for thing in used:
        if used.count(thing) > 1:
            raise FileError(f"{path}: {thing[0]}: {thing[1]!r} is given twice")
