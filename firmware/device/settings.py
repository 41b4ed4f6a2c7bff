"""What the board's configuration says, checked once, with defaults."""

from collections import namedtuple

from device.errors import DeviceError

# (name, default, lowest, highest). A tuple: MicroPython's dicts keep no order.
_NUMBERS = (
    ("sos_hold_ms", 800, 0, 10_000),
    ("batch_fixes", 12, 1, 60),
    ("batch_s", 60, 1, 600),
    ("state_s", 600, 10, 86_400),
    ("return_s", 35, 0, 300),
)
PERIOD_S = (10, 1, 3_600)

Settings = namedtuple(
    "Settings",
    ("sos_hold_ms", "batch_fixes", "batch_s", "state_s", "return_s", "duty", "silent", "sensors"),
)
Sensor = namedtuple("Sensor", ("name", "period_s", "threshold", "hysteresis", "below"))


class SettingsError(DeviceError):
    """The board's configuration cannot be used: it must be written again."""


def read(config: dict) -> Settings:
    """Return the settings of a device.

    Raises:
        SettingsError: Something is missing or out of range.
    """
    for name in ("broker_host", "broker_name"):
        if not isinstance(config.get(name), str):
            raise SettingsError("no {} in the configuration".format(name))
    _number(config, "broker_port", (None, 1, 65_535))
    values = [_number(config, row[0], row[1:]) for row in _NUMBERS]
    sensors = config.get("sensors") or {}
    values += [
        config.get("duty") is True,
        config.get("silent") is True,
        [_sensor(name, sensors[name]) for name in sensors],
    ]
    return Settings(*values)


def _sensor(name: str, config: dict) -> Sensor:
    threshold = config.get("threshold")
    hysteresis = config.get("hysteresis", 0)
    if not (threshold is None or isinstance(threshold, int)) or not isinstance(hysteresis, int):
        raise SettingsError("sensor {}: threshold {} {}".format(name, threshold, hysteresis))
    period_s = _number(config, "period_s", PERIOD_S)
    return Sensor(name, period_s, threshold, hysteresis, config.get("below") is True)


def _number(config: dict, name: str, limits: tuple) -> int:
    default, low, high = limits
    value = config.get(name, default)
    if not isinstance(value, int) or not low <= value <= high:
        raise SettingsError("{} is {}, not {}..{}".format(name, value, low, high))
    return value
