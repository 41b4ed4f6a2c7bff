"""Freezes the application into a MicroPython image of one's own, for a chip with little heap.

    make -C ports/esp32 FROZEN_MANIFEST=.../firmware/manifest.py

Everything runs without this file: the official image loads the same modules from a slot. The
board is the one below; a frozen module yields to nothing on the flash, so such an image is
updated as a whole.
"""

metadata(version="0.1.0")  # noqa: F821 - names of MicroPython's manifest language
include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
package("wire_protocol", base_path="..")  # noqa: F821
package("device")  # noqa: F821
package("chip", base_path="boards")  # noqa: F821
package("board", base_path="boards/esp32_devkit")  # noqa: F821
