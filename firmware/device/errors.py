"""Errors of the device, named for what the caller can do."""


class DeviceError(Exception):
    """Base of all errors of our own."""


class PeerError(DeviceError):
    """The broker broke MQTT 3.1.1 or our limits: the connection is of no use any more."""


class JournalFull(DeviceError):
    """No room, and nothing left that may be given up for this record."""


class JournalFault(DeviceError):
    """The flash refused a write: the record is not kept."""
