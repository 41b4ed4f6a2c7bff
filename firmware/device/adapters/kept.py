"""Small things kept over power cuts: one JSON file each, replaced atomically."""

import json
import os

FILE_BYTES_MAX = 4096
_ENOENT = 2
_TRIES_MAX = 3  # Of a read that failed: a latched SOS is worth it.


class Kept:
    """A folder of small files beside the journal.

    Attributes:
        fault: True once the flash refused; what was to be kept then lives in RAM only.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.fault = False

    def load(self, name: str, default: object = None) -> object:
        """Return what was saved last, or `default` if nothing was or it cannot be read."""
        try:
            value = self.read(name)
        except OSError:
            self.fault = True
            value = None
        return default if value is None else value

    def read(self, name: str) -> object:
        """Return what was saved last, None if nothing was; OSError if the flash cannot tell."""
        tries = 0
        while True:
            try:
                with open(self._path(name), "rb") as file:
                    return json.loads(file.read(FILE_BYTES_MAX))
            except ValueError:
                return None
            except OSError as error:
                tries += 1
                if error.errno == _ENOENT:
                    return None
                if tries == _TRIES_MAX:
                    raise

    def save(self, name: str, value) -> bool:
        """Replace what is kept under a name; False (and `fault`) if the flash refused."""
        path = self._path(name)
        try:
            with open(path + ".new", "wb") as file:
                file.write(json.dumps(value).encode())
                file.flush()
            # Atomic on littlefs and on POSIX: after a power cut it is the old one or the new one.
            os.rename(path + ".new", path)
        except OSError:
            self.fault = True
            return False
        return True

    def _path(self, name: str) -> str:
        return self._folder + "/" + name + ".json"
