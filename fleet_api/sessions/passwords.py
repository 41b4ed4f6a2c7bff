"""Passwords: Argon2id hashes, random first passwords."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fleet_api.errors import BusyError

PASSWORD_CHARACTERS_MIN = 10
PASSWORD_CHARACTERS_MAX = 200
# Each check takes 64 MiB and a core for some 50 ms (RFC 9106, second recommended choice): two at
# once is what a small machine has cores, and more would let anybody fill its memory.
_CHECKS_AT_ONCE_MAX = 2
# Those who wait hold threads that serve everybody else: few, and not for long.
_WAITING_MAX = 8
_WAIT_S_MAX = 5.0
# No letters and digits that look alike in print; 16 of 54 give 92 bits.
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_RANDOM_CHARACTERS = 16


class Passwords:
    """Hashes and checks passwords, a bounded number at once."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._places = threading.BoundedSemaphore(_CHECKS_AT_ONCE_MAX)
        self._queue = threading.BoundedSemaphore(_CHECKS_AT_ONCE_MAX + _WAITING_MAX)
        # Checked when the name is unknown, so that the answer takes as long as for a known one.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        """Return the hash to store."""
        with self._place():
            return self._hasher.hash(password)

    def fits(self, password_hash: str | None, password: str) -> bool:
        """Tell whether `password` is the one; None (no such user) takes as long and is False."""
        with self._place():
            try:
                self._hasher.verify(password_hash or self._nobody, password)
            except (VerificationError, InvalidHashError):
                return False
        return password_hash is not None

    @contextmanager
    def _place(self) -> Iterator[None]:
        with _held(self._queue, 0.0), _held(self._places, _WAIT_S_MAX):
            yield


@contextmanager
def _held(semaphore: threading.BoundedSemaphore, wait_s: float) -> Iterator[None]:
    if not semaphore.acquire(timeout=wait_s):
        raise BusyError("Too many sign-ins at once; try again in a few seconds.")
    try:
        yield
    finally:
        semaphore.release()


def random_password() -> str:
    """Return a password for the first sign-in, easy to type from a screen."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))
