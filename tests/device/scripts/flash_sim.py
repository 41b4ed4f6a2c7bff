"""A flash for littlefs in a file, for SIGKILL; power cuts within it are those of tests/flash."""

BLOCK_BYTES = 4096


class FileFlash:
    """A flash in a file: each write is the kernel's when it returns, whoever is killed then."""

    def __init__(self, path, blocks):
        self._blocks = blocks
        self._file = open(path, "r+b")  # noqa: SIM115 - MicroPython; open for good

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.write(buffer)

    def ioctl(self, operation, block):
        if operation == 4:
            return self._blocks
        if operation == 5:
            return BLOCK_BYTES
        if operation == 6:
            self.writeblocks(block, b"\xff" * BLOCK_BYTES)
        return 0
