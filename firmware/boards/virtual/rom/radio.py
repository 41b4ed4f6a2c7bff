"""The virtual chip's network: the host's sockets, and a switch that takes them away.

Stands in for the module `socket`. Switched off, it closes what the device has open, as a lost
access point in the end does, and refuses everything new.
"""

import socket as _host
from socket import *  # noqa: F403 - it stands in for the module

_UNREACHABLE = 101  # ENETUNREACH on Linux.
_OPEN_MAX = 4  # The device has one link; sockets it has closed need no closing again.

is_up = True
_open = []
_spared = False


def spare_next() -> None:
    """The next socket belongs to the bench: it is made in any case and never cut."""
    global _spared  # noqa: PLW0603 - one radio a process
    _spared = True


def socket(*arguments) -> object:
    """A socket of the host, remembered so that it can be cut."""
    global _spared  # noqa: PLW0603 - one radio a process
    _check()
    made = _host.socket(*arguments)
    if _spared:
        _spared = False
        return made
    _open.append(made)
    if len(_open) > _OPEN_MAX:
        _open.pop(0)
    return made


def getaddrinfo(*arguments) -> list:
    """The host's own look-up, while there is a network."""
    _check()
    return _host.getaddrinfo(*arguments)


def switch(up: bool) -> None:
    """Take the network away, or give it back."""
    global is_up  # noqa: PLW0603 - one radio a process
    is_up = up
    while not up and _open:
        _open.pop().close()


def _check() -> None:
    if not is_up and not _spared:
        raise OSError(_UNREACHABLE, "the network is switched off")
