"""The sensor node: readings in batches, alarms with threshold, hysteresis and mute."""

from device.domain import indications
from device.domain.alarm import Alarm
from device.domain.recorder import SPAN_MS_MAX
from wire_protocol import readings_encode, sensors
from wire_protocol.errors import WireError
from wire_protocol.readings_encode import Reading


class SensorNode:
    """One sensor node; nothing of it runs before `start`."""

    def __init__(self, board, settings) -> None:
        self._board = board
        self._settings = settings
        self._alarms = {}
        self._due_ms = {}
        for sensor in settings.sensors:
            sensors.code(sensor.name)
            self._due_ms[sensor.name] = 0
            if sensor.threshold is not None:
                self._alarms[sensor.name] = Alarm(
                    sensor.threshold, sensor.hysteresis, sensor.below
                )
        self._unread = set()  # Sensors that gave nothing when last asked, or nonsense.
        self._batch = []
        self._quality = 0
        self._began_ms = 0

    def start(self, station) -> None:
        """Begin."""
        self.station = station
        self._show()

    def state(self) -> dict:
        """Return this kind's fields of the state."""
        now = self.station.clock.uptime_ms()
        muted = {}
        for name, alarm in self._alarms.items():
            if alarm.muted_s(now):
                muted[name] = alarm.muted_s(now)
        return {"duty": None, "sos": None, "fix_age_s": None, "muted": muted}

    def faults(self) -> list:
        """Return the names of the sensors that cannot be read."""
        return ["sensor_" + name for name in self._unread]

    def order(self, kind: str, body: dict, command: str) -> tuple:
        """Run a command: (status, reason, data)."""
        if kind != "mute":
            return self.station.deed(kind, body, command)
        alarm = self._alarms.get(body["sensor"])
        if alarm is None:
            return "refused", "no alarm on this sensor", None
        alarm.mute(body["for_s"], self.station.clock.uptime_ms())
        self._show()
        self.station.changed()
        return "done", "", None

    def self_test(self) -> dict:
        """Return sensor -> "ok" or what is wrong with it."""
        names = [sensor.name for sensor in self._settings.sensors]
        return {name: "unread" if name in self._unread else "ok" for name in names}

    def on_watch(self, lease_s: int) -> None:
        """A watch on a sensor node changes nothing: its batches are short."""

    def on_sos_status(self, status: dict) -> None:
        """A sensor node has no SOS."""

    def on_receipt(self, receipt: dict) -> None:
        """Nothing waits for receipts here."""

    def on_puback(self, token: tuple) -> None:
        """Nothing waits for the broker here."""

    def on_expired(self, command: str) -> None:
        """No command waits here."""

    def is_pressed(self) -> bool:
        """A sensor node has no SOS button."""
        return False

    def on_tick(self) -> None:
        """A second has passed."""
        now = self.station.clock.uptime_ms()
        for sensor in self._settings.sensors:
            if now >= self._due_ms[sensor.name]:
                self._due_ms[sensor.name] = now + sensor.period_s * 1000
                self._read(sensor.name, now)
        batch = self._batch
        if batch and (
            len(batch) >= self._settings.batch_fixes
            or now - self._began_ms >= self._settings.batch_s * 1000
        ):
            self._seal()
        self._show()

    def _read(self, name: str, now: int) -> None:
        value = self._board.sensor_read(name)
        code = sensors.code(name)
        if not _is_sound(code, value):
            self._unread.add(name)
            return
        self._unread.discard(name)
        clock = self.station.clock
        at_ms = clock.now_ms() if clock.quality else clock.uptime_ms()
        batch = self._batch
        if batch and (
            clock.quality != self._quality
            or not batch[-1].at_ms <= at_ms <= batch[0].at_ms + SPAN_MS_MAX
        ):
            self._seal()
        if not self._batch:
            self._quality, self._began_ms = clock.quality, now
        self._batch.append(Reading(at_ms, code, value))
        alarm = self._alarms.get(name)
        if alarm is not None and alarm.look(value, now):
            self._seal()
            fields = {
                "sensor": name,
                "value": value,
                "threshold": alarm.threshold,
                "raised": alarm.raised,
            }
            self.station.logbook.event("alarm", fields)
            self._show()

    def _seal(self) -> None:
        batch, self._batch = self._batch, []
        if batch:
            self.station.logbook.batch("reading", readings_encode.encode, self._quality, batch)

    def _show(self) -> None:
        now = self.station.clock.uptime_ms()
        loud = [n for n, a in self._alarms.items() if a.raised and not a.muted_s(now)]
        indications.show(self._board, "alarm" if loud else "off", False, again=bool(loud))
        self._board.screen(tuple(["ALARM " + name for name in loud]))


def _is_sound(code: int, value: int | None) -> bool:
    """Say whether a sensor can read this value; None is no value."""
    try:
        return value is not None and sensors.check_value(code, value) is None
    except WireError:
        return False
