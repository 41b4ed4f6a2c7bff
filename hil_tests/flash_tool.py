"""esptool as a process: it is GPL, and a process can be bounded."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hil_tests.errors import RigError

_WAIT_S = 300.0  # 4 MB at 115200 baud take 370 s uncompressed; our parts are 300 KB.


def write(
    port: str, baud: int, parts: Mapping[int, bytes], *, reset: bool, options: Sequence[str] = ()
) -> None:
    """Write parts of a flash image by their addresses to a chip that listens, or can be reset.

    Raises:
        RigError: esptool failed; the message holds what it said.
    """
    with tempfile.TemporaryDirectory(prefix="hil-flash-") as folder:
        files: list[str] = []
        for address, content in sorted(parts.items()):
            path = Path(folder) / f"{address:#x}.bin"
            # The parts hold a device's private key.
            path.touch(mode=0o600)
            path.write_bytes(content)
            files += [hex(address), str(path)]
        command = [
            sys.executable, "-m", "esptool", "--chip", "esp32", "--port", port,
            "--baud", str(baud), "--before", "default-reset" if reset else "no-reset",
            "--after", "no-reset", *options, "write-flash", *files,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_WAIT_S, check=False
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise RigError(f"esptool on {port}: {error}") from error
    if done.returncode:
        raise RigError(f"esptool on {port}: {(done.stdout + done.stderr).strip()[-800:]}")
