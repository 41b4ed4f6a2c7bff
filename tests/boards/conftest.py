"""Virtual devices under every MicroPython that this machine has."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioning.application import Application, build_application
from provisioning.authority import Authority
from provisioning.configuration import DeviceConfig
from provisioning.control import Control
from provisioning.fleet import VirtualFleet, micropython_program
from provisioning.virtual import Rig, device_folder, make_virtual_device

_STUB = Path(__file__).parent / "stub" / "start.py"


def _programs() -> dict[str, tuple[str, tuple[str, ...]]]:
    """The wheel, and Debian's MicroPythons where they are: one has the chip's size of objects."""
    found = {"wheel": (micropython_program(), ())}
    for name, options in (
        ("micropython-1.25", ()),
        ("micropython-1.25-i386", ("-X", "heapsize=200k")),
    ):
        beside = Path(__file__).parents[2] / ".tools" / "bin" / name
        program = shutil.which(name) or (str(beside) if os.access(beside, os.X_OK) else None)
        if program:
            found[name] = (program, options)
    return found


PROGRAMS = _programs()


@pytest.fixture(name="fleet", params=sorted(PROGRAMS))
def fixture_fleet(request: pytest.FixtureRequest) -> Iterator[VirtualFleet]:
    program, options = PROGRAMS[request.param]
    with VirtualFleet(program, options=options) as fleet:
        yield fleet


@pytest.fixture(name="stub", scope="session")
def fixture_stub() -> Application:
    """The virtual board with an application that tells back what the board gives it."""
    return build_application("virtual", start=_STUB)


@pytest.fixture(name="make")
def fixture_make(tmp_path: Path, stub: Application) -> Callable[..., Control]:
    """Return a function that makes a device with the stub application, switched off."""
    authority = Authority.create(tmp_path)

    def make(
        device_id: str = "t-0001",
        rig: Rig | None = None,
        port: int = 1,
        networks: tuple[tuple[str, str], ...] = (),
    ) -> Control:
        folder = make_virtual_device(
            device_folder(tmp_path, device_id),
            identity=authority.issue_device(device_id),
            ca_der=authority.devices_ca_der,
            config=DeviceConfig("127.0.0.1", port, "localhost", networks=networks, return_s=0),
            rig=rig or Rig(),
            application=stub,
        )
        return Control(folder)

    return make
