"""What can go wrong on a rig, by what whoever reads it can do about it."""


class HilError(Exception):
    """The rig or its files, not the device under test."""


class FileError(HilError):
    """A rig or scenario file is wrong; the message names file, field and limit."""


class RigError(HilError):
    """Something of the rig does not answer: a port, a relay, the servers."""


class StageError(HilError):
    """A device did not reach the stage that was asked for."""


class NotOnThisRigError(HilError):
    """The rig has nothing wired for what a scenario wants."""
