"""What the gateway reports to whoever starts it."""


class GatewayError(Exception):
    """The gateway cannot start or go on; the message names what and why."""
