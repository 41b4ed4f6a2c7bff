"""What provisioning reports; each class is named for what the caller can do about it."""


class ProvisioningError(Exception):
    """A device, an identity or an image cannot be made; the message names what and why."""


class AuthorityMissingError(ProvisioningError):
    """There is no certificate authority here yet: create one."""


class AuthorityBrokenError(ProvisioningError):
    """An authority is here and cannot be used: restore it from a backup, never make a new one."""


class ImageError(ProvisioningError):
    """A flash image cannot be composed, or is not what it should be."""


class DeviceRefusedError(ProvisioningError):
    """A device's row is wrong or already taken; nothing was changed."""
