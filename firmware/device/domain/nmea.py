"""NMEA 0183 from a GNSS receiver becomes fixes, one for each epoch.

Reads RMC, GGA, GNS, GSA and VTG of any talker, and ZDA for the date. Sentences with the same time
are one epoch; which of them come, and in which order, is the receiver's choice. An epoch is a fix
when each kind of sentence that came in it (RMC, GGA, GNS) says valid: one void RMC or GGA, and
there is none. Rules where the standard is silent are those of gpsd (drivers/driver_nmea0183.c):
times within 10 ms are the same epoch, the last position in it counts, a GNS whose navigational
status is V or U gives no position, a two-digit year below 69 is 20xx, and a date is taken as it
is given: what a receiver with a GPS week rollover says is for the clock to judge.

Integers only, one line of fixed length, nothing kept but the epoch being received.
"""

from collections import namedtuple

LINE_BYTES_MAX = 128  # The standard says 82; receivers with 8 decimals send up to 96.
FIELDS_MAX = 40
SAME_EPOCH_MS = 10
REPEAT_MS = 10_000  # A time up to this much before the last fix is a repetition, not a new day.
UERE_M = 5  # Metres of range error that HDOP multiplies: one frequency, open sky, 1 sigma.

# Unix ms; 1e-6 degree WGS-84; above sea level in mm; speed over ground in cm/s and in mm/s; true
# course in degrees and in tenths of one; estimated radius; satellites used; 2 or 3 dimensions as
# GSA says. All but the first three are None where the receiver does not say.
GnssFix = namedtuple(
    "GnssFix",
    (
        "at_ms",
        "lat_e6",
        "lon_e6",
        "alt_mm",
        "speed_cms",
        "course_deg",
        "accuracy_m",
        "speed_mms",
        "course_ddeg",
        "satellites",
        "dimensions",
    ),
)

_RMC = 1
_GGA = 2
_GNS = 4
_KINDS = b"RMC,GGA,GNS,GSA,VTG,ZDA"  # One text: a dict would take 250 bytes more of the heap.
_GSA_AT, _VTG_AT, _ZDA_AT = 12, 16, 20
_DAY_MS = 86_400_000


class NmeaParser:
    """Turns the bytes of a receiver into fixes; counts what it cannot use.

    Attributes:
        sentences: Sentences read, of the kinds above.
        checksum_errors: Sentences of those kinds whose checksum is wrong or missing.
        malformed: Sentences with a right checksum and a wrong time.
        overlong: Lines that began like a sentence and did not end within LINE_BYTES_MAX.
        broken: Sentences cut off by a byte that no sentence has, or by the next one.
        garbage_bytes: Bytes outside of sentences, line ends aside.
        repeated: Valid epochs whose time had been before.
    """

    _alt: int | None
    _speed: int | None  # 1e-4 knots
    _course: int | None  # Tenths of a degree
    _hdop: int | None  # Hundredths
    _satellites: int | None
    _dimensions: int | None

    def __init__(self) -> None:
        self.sentences = 0
        self.checksum_errors = 0
        self.malformed = 0
        self.overlong = 0
        self.broken = 0
        self.garbage_bytes = 0
        self.repeated = 0
        self._line = bytearray(LINE_BYTES_MAX)
        self._length = 0  # 0: outside of a sentence
        self._starts = bytearray(FIELDS_MAX + 1)  # Of the fields; behind the last, where it ends
        self._fields = 0
        self._day: int | None = None  # Days since 1970, as far as known ...
        self._day_at = 0  # ... at this ms of the day.
        self._last_ms = -1
        self._seen_before = 0
        self._time = -1
        self._begin(-1)

    def feed(self, buffer: bytes | bytearray | memoryview, size: int) -> list[GnssFix]:
        """Take the first `size` bytes of a buffer; return the fixes that they complete."""
        fixes = []
        line = self._line
        length = self._length
        for index in range(size):
            byte = buffer[index]
            if byte == 0x24:  # $
                if length:
                    self.broken += 1
                length = 1
            elif not length:
                if byte not in (0x0D, 0x0A):
                    self.garbage_bytes += 1
            elif 0x20 <= byte < 0x7F:
                if length == LINE_BYTES_MAX:
                    self.overlong += 1
                    length = 0
                else:
                    line[length] = byte
                    length += 1
            else:
                if byte not in (0x0D, 0x0A):
                    self.broken += 1
                else:
                    fix = self._sentence(length)
                    if fix:
                        fixes.append(fix)
                length = 0
        self._length = length
        return fixes

    def flush(self) -> GnssFix | None:
        """Return the fix of the epoch being received, or None if more of it is expected.

        For a line that has been quiet for a moment: it saves the wait for the next epoch. More is
        expected until each kind of sentence came that the epoch before had.
        """
        if self._seen and self._seen & self._seen_before == self._seen_before:
            return self._close()
        return None

    def _sentence(self, length: int) -> GnssFix | None:
        line = self._line
        while length > 7 and line[length - 1] == 0x20:
            length -= 1
        # $PGRMC is Garmin's own, no RMC: a P is no talker.
        if length < 10 or line[1] == 0x50 or line[6] != 0x2C:
            return None
        kind = _KINDS.find(bytes(line[3:6]))
        if kind % 4:  # None of them (-1), or a comma and parts of two.
            return None
        if not self._checked(length - 3):
            self.checksum_errors += 1
            return None
        self._split(length - 3)
        self.sentences += 1
        if kind == _GSA_AT:
            self._gsa()
        elif kind == _VTG_AT:
            # RMC says the same and has a time. T: true course; E, N: estimated, not valid.
            usable = self._letter(2) == 0x54 and self._letter(9) not in (0x45, 0x4E)
            if usable and self._speed is None:
                self._motion(5, 1)
        else:
            time = self._time_of_day()
            if time is None and self._letter(1):
                self.malformed += 1
            elif kind == _ZDA_AT:
                self._zda(time)
            else:
                return self._timed(1 << kind // 4, time)
        return None

    def _timed(self, kind_bit: int, time: int | None) -> GnssFix | None:
        """Take the sentence in the line; return the fix of the epoch that it ends, if any."""
        fix = None
        if time is None:
            # A receiver without a fix: part of this epoch, or the first of the next.
            if self._seen & kind_bit:
                fix = self._close()
                self._begin(-1)
        elif abs(time - self._time) > SAME_EPOCH_MS:
            fix = self._close()
            self._begin(time)
        elif self._closed:
            return None
        else:
            self._time = time
        if kind_bit == _RMC:
            self._rmc()
        elif kind_bit == _GGA:
            self._position(_GGA, 0x31 <= self._letter(6) <= 0x39)
        else:
            self._gns()
        return fix

    def _rmc(self) -> None:
        valid = self._letter(2) == 0x41  # A
        self._position(_RMC, valid)
        if valid:
            # With V, receivers send dates that they made up.
            date = self._number(9, 0)
            if date is not None:
                year = date % 100
                self._date(date // 10_000, date // 100 % 100, year + (2000 if year < 69 else 1900))
            self._motion(7, 8)

    def _gns(self) -> None:
        if self._letter(13) in (0x55, 0x56):  # U or V
            return
        # One letter a constellation; N: not used.
        valid = False
        for at in range(self._starts[6], self._starts[7] - 1):
            valid = valid or self._line[at] != 0x4E
        self._position(_GNS, valid)

    def _position(self, kind_bit: int, valid: bool) -> None:
        self._seen |= kind_bit
        first = 3 if kind_bit == _RMC else 2
        lat = self._angle(first, 90, b"NS") if valid else None
        lon = self._angle(first + 2, 180, b"EW") if valid else None
        if lat is None or lon is None:
            return
        self._valid |= kind_bit
        self._lat, self._lon = lat, lon
        if kind_bit != _RMC:
            alt = self._number(9, 3)
            self._alt = self._alt if alt is None else alt
            self._satellites = self._number(7, 0)
            self._dilution(8)

    def _gsa(self) -> None:
        mode = self._letter(2)
        if mode in (0x32, 0x33):  # One sentence a constellation: the best counts.
            self._dimensions = max(mode - 0x30, self._dimensions or 0)
        if self._hdop is None:
            self._dilution(16)

    def _zda(self, time: int | None) -> None:
        day, month, year = self._number(2, 0), self._number(3, 0), self._number(4, 0)
        if time is not None and day is not None and month is not None and year is not None:
            self._date(day, month, year, time)

    def _date(self, day: int, month: int, year: int, time: int = -1) -> None:
        if 1 <= day <= 31 and 1 <= month <= 12 and 1969 <= year < 2106:
            # Years from March on, so that the leap day is a year's last.
            months = (month + 9) % 12
            year -= month < 3
            days = year * 365 + year // 4 - year // 100 + year // 400
            self._day = days + (months * 306 + 5) // 10 + day - 719_469
            self._day_at = self._time if time < 0 else time

    def _dilution(self, index: int) -> None:
        hdop = self._number(index, 2)
        if hdop is not None and 0 < hdop < 9000:  # 99.99, 99.00 and 0.00: unknown.
            self._hdop = hdop

    def _motion(self, speed_index: int, course_index: int) -> None:
        speed = self._number(speed_index, 4)
        course = self._number(course_index, 1)
        if speed is not None and 0 <= speed < 12_730_000:  # What 65,534 cm/s are in 1e-4 knots.
            self._speed = speed
        if course is not None and 0 <= course <= 3600:
            self._course = course % 3600

    def _begin(self, time: int) -> None:
        self._time = time
        self._closed = False
        self._seen = self._valid = 0
        self._lat = self._lon = 0
        self._alt = self._speed = self._course = self._hdop = None
        self._satellites = self._dimensions = None

    def _close(self) -> GnssFix | None:
        """End the epoch being received and return its fix, if it is one."""
        if self._closed:
            return None
        self._closed = True
        if self._seen:
            self._seen_before = self._seen
        time = self._time
        if not self._seen or self._seen != self._valid or time < 0 or self._day is None:
            return None
        if time + _DAY_MS // 2 < self._day_at:
            self._day += 1
        elif time > self._day_at + _DAY_MS // 2:
            self._day -= 1
        self._day_at = time
        at_ms = self._day * _DAY_MS + time
        if self._last_ms - REPEAT_MS < at_ms <= self._last_ms:
            self.repeated += 1
            return None
        self._last_ms = at_ms
        speed, course, hdop = self._speed, self._course, self._hdop
        # 1e-4 knots: a knot is 1852 m an hour.
        return GnssFix(
            at_ms,
            self._lat,
            self._lon,
            self._alt,
            None if speed is None else (speed * 463 + 45_000) // 90_000,
            None if course is None else (course + 5) // 10 % 360,
            None if hdop is None else (hdop * UERE_M + 99) // 100,
            None if speed is None else (speed * 463 + 4_500) // 9_000,
            course,
            self._satellites,
            self._dimensions,
        )

    def _checked(self, star: int) -> bool:
        line = self._line
        if line[star] != 0x2A:
            return False
        value = 0
        for index in range(1, star):
            value ^= line[index]
        try:
            return int(bytes(line[star + 1 : star + 3]), 16) == value
        except ValueError:
            return False

    def _split(self, end: int) -> None:
        line, starts = self._line, self._starts
        fields = 1
        starts[0] = 1
        for index in range(6, end):
            if line[index] == 0x2C and fields < FIELDS_MAX:
                starts[fields] = index + 1
                fields += 1
        # Where a further field would start, so that each ends one before the next.
        starts[fields] = end + 1
        self._fields = fields

    def _letter(self, index: int) -> int:
        """Return the first byte of a field, 0 if it is empty or missing."""
        if index >= self._fields or self._starts[index] + 1 == self._starts[index + 1]:
            return 0
        return self._line[self._starts[index]]

    def _number(self, index: int, decimals: int) -> int | None:
        """Return a field in 10**-decimals, rounded half up; None if it is no number."""
        if not self._letter(index):
            return None
        line = self._line
        at, end = self._starts[index], self._starts[index + 1] - 1
        negative = line[at] == 0x2D
        value = up = digits = 0
        fraction = -1
        for place in range(at + negative, end):
            byte = line[place]
            if byte == 0x2E and fraction < 0:
                fraction = 0
                continue
            if not 0x30 <= byte <= 0x39:
                return None
            digits += 1
            if fraction < decimals:
                value = value * 10 + byte - 0x30
            elif fraction == decimals:
                up = byte >= 0x35
            fraction += fraction >= 0
        if not digits:
            return None
        missing: int = 10 ** max(decimals - max(fraction, 0), 0)
        value = value * missing + up
        return -value if negative else value

    def _time_of_day(self) -> int | None:
        """Return the ms of the day in field 1, `hhmmss` and any decimals; None if it is none."""
        time = self._number(1, 3)
        if time is None:
            return None
        hour, minute, second = time // 10_000_000, time // 100_000 % 100, time % 100_000
        if not (0 <= hour < 24 and minute < 60 and second < 61_000):
            return None
        return hour * 3_600_000 + minute * 60_000 + second

    def _angle(self, index: int, most: int, letters: bytes) -> int | None:
        """Return 1e-6 degree, rounded half away from zero, of `dddmm.m` and the letter behind."""
        letter = self._letter(index + 1)
        if not letter or letter not in letters or not self._letter(index):
            return None
        # As many decimals as the field can have: rounded once, at the end.
        scale = self._starts[index + 1] - self._starts[index]
        value = self._number(index, scale)
        if value is None or value < 0:
            return None
        one: int = 10**scale
        minutes = value % (100 * one)
        if minutes >= 60 * one:
            return None
        angle = ((value // (100 * one) * 60 * one + minutes) * 2_000_000 + 60 * one) // (120 * one)
        if angle > most * 1_000_000:
            return None
        return -angle if letter == letters[1] else angle
