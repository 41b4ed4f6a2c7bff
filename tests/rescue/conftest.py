"""Devices that cannot run their application, with a real broker and a real gateway about them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provisioning.application import Application, build_application
from provisioning.authority import Authority
from provisioning.configuration import DeviceConfig
from provisioning.control import Control
from provisioning.fleet import VirtualFleet
from provisioning.nvs import read_nvs
from provisioning.partitions import partition
from provisioning.releases import ReleaseKey, sign_application
from provisioning.virtual import Feed, Rig, device_folder, make_virtual_device
from storage.applications import ApplicationStore
from storage.registry.models import DeviceState
from tests.gateway import stores
from tests.gateway.installation import Installation, wait_for
from tests.wire_protocol.interpreters import micropythons

if TYPE_CHECKING:
    from collections.abc import Iterator

BOARDS_STUB = Path(__file__).parents[1] / "boards" / "stub" / "start.py"
CRASHING = Path(__file__).parent / "stub" / "crashing_start.py"
DEVICE = "t-0001"
IDENTITY = ("id", "cert", "key", "relay", "ca", "config", "release_key")
PATIENCE_S = 60


class Bench:
    """One installation and one device of it."""

    def __init__(self, home: Path, authority: Authority, fleet: VirtualFleet) -> None:
        self.installation = Installation(home, authority)
        self.fleet = fleet
        self.key = ReleaseKey.open(home)
        self.store = ApplicationStore(home / "applications")
        self.folder = Path()
        self.control = Control(self.folder)
        self._identity: dict[str, bytes] = {}

    def make(self, application: Application, rig: Rig | None = None) -> Control:
        """Flash the device; it is off."""
        installation = self.installation
        installation.add_devices([DEVICE])
        self.folder = make_virtual_device(
            device_folder(installation.home, DEVICE),
            identity=installation.authority.issue_device(DEVICE),
            ca_der=installation.authority.devices_ca_der,
            config=DeviceConfig("127.0.0.1", installation.listeners.devices_port, "localhost"),
            rig=rig or Rig(receiver=Feed()),
            application=application,
            release_key=self.key.public,
        )
        self.control = Control(self.folder)
        self._identity = self.identity()
        return self.control

    def publish(
        self, application: Application, release: int = 1, key: ReleaseKey | None = None
    ) -> Path:
        """Offer an application to all devices of its board; returns its file."""
        self.store.publish(sign_application(application, release, key or self.key))
        return self.installation.home / "applications" / application.board / f"{release}.app"

    def start(self) -> None:
        self.fleet.start(self.folder)

    def cut_power(self) -> None:
        self.fleet.kill(DEVICE)

    def read(self, label: str) -> bytes:
        place = partition(label)
        with (self.folder / "flash.bin").open("rb") as file:
            return os.pread(file.fileno(), place.size, place.address)

    def spoil(self, label: str, content: bytes, at: int = 0) -> None:
        with (self.folder / "flash.bin").open("r+b") as file:
            os.pwrite(file.fileno(), content, partition(label).address + at)

    def identity(self) -> dict[str, bytes]:
        held = read_nvs(self.read("nvs"))
        return {name: held[name] for name in IDENTITY}

    def console(self) -> str:
        return (self.folder / "console.log").read_text()

    def state(self) -> dict:
        found = stores.rows(self.installation, DeviceState)
        return found[0].state if found else {}

    def wait_for_state(self, wanted, what: str) -> dict:
        def look() -> bool:
            found = self.state()
            return bool(found.get("online")) and wanted(found)

        wait_for(look, PATIENCE_S, f"{what}: {self.said()}")
        return self.state()

    def reports(self) -> list[str]:
        return [
            row.body["text"] for row in stores.events(self.installation) if row.kind == "report"
        ]

    def wait_for_report(self, text: str) -> None:
        wait_for(lambda: any(text in report for report in self.reports()), PATIENCE_S, text)

    def wait_for_console(self, text: str) -> None:
        wait_for(lambda: text in self.console(), PATIENCE_S, f"{text!r}: {self.said()}")

    def said(self) -> str:
        return f"see {self.folder / 'console.log'}"

    def close(self) -> None:
        """Whatever a test did: the identity is what it was."""
        self.cut_power()
        identity = self.identity()
        self.installation.stop()
        assert identity == self._identity


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(name="program", params=["wheel", "1.25-i386"])
def fixture_program(request: pytest.FixtureRequest) -> tuple[str, tuple[str, ...]]:
    """The wheel's MicroPython, and one whose objects have the chip's size, with little heap."""
    programs = micropythons()
    assert request.param in programs, "no 32-bit MicroPython: run `make setup`"
    options = ("-X", "heapsize=160k") if request.param == "1.25-i386" else ()
    return programs[request.param], options


@pytest.fixture
def bench(
    tmp_path: Path, authority: Authority, program: tuple[str, tuple[str, ...]]
) -> Iterator[Bench]:
    with VirtualFleet(program[0], options=program[1]) as fleet:
        made = Bench(tmp_path / "home", authority, fleet)
        made.installation.start_broker()
        yield made
        made.close()


@pytest.fixture(scope="session")
def stub() -> Application:
    """An application that shows "ready", and does nothing else by itself."""
    return build_application("virtual", start=BOARDS_STUB)


@pytest.fixture(scope="session")
def application() -> Application:
    """The one that people carry."""
    return build_application("virtual")


@pytest.fixture(scope="session")
def crashing() -> Application:
    return build_application("virtual", start=CRASHING)
