"""A NOR flash for littlefs: in memory, cut off at a chosen write; or in a file, for SIGKILL."""

BLOCK_BYTES = 4096


class PowerCut(Exception):
    """The power is gone."""


class MemoryFlash:
    """Loses its power in the middle of the n-th write; what was written till then stays."""

    def __init__(self, data, cut_at):
        self.data = data
        self.writes = 0
        self._cut_at = cut_at
        self._dead = False

    def readblocks(self, block, buffer, offset=0):
        if self._dead:
            return -5
        start = block * BLOCK_BYTES + offset
        buffer[:] = memoryview(self.data)[start : start + len(buffer)]
        return 0

    def writeblocks(self, block, buffer, offset=0):
        if self._dead:
            return -5
        self.writes += 1
        size = len(buffer)
        if self.writes == self._cut_at:
            self._dead = True
            size //= 2
        start = block * BLOCK_BYTES + offset
        self.data[start : start + size] = memoryview(buffer)[:size]
        if self._dead:
            raise PowerCut
        return 0

    def ioctl(self, operation, block):
        if operation == 4:
            return len(self.data) // BLOCK_BYTES
        if operation == 5:
            return BLOCK_BYTES
        if operation == 6:
            start = block * BLOCK_BYTES
            self.data[start : start + BLOCK_BYTES] = b"\xff" * BLOCK_BYTES
        return 0


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
