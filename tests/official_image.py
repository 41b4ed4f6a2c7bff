"""The official MicroPython image, which is not part of the repository: a user downloads it."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
# In the folder beside the checkout that every session and CI has.
OFFICIAL = PROJECT.parent / "shared" / "esp32" / "ESP32_GENERIC-20250911-v1.26.1.bin"
# Where it is demanded its tests run, and fail without it; tools/test.sh says in its last line
# when they did not run.
needs_official = pytest.mark.skipif(
    not OFFICIAL.exists() and not os.environ.get("XUNHU_DEMAND_IMAGE"),
    reason=f"the official MicroPython image was not tested: there is no {OFFICIAL}",
)
