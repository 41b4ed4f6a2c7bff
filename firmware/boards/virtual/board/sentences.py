"""NMEA 0183 sentences of a receiver that knows where it is, and of one that does not."""


def fix(
    clock: tuple, lat_e6: int, lon_e6: int, altitude_dm: int, speed_cms: int, course_deg: int
) -> bytes:
    """Return RMC, GGA, GSA and VTG of one second.

    Args:
        clock: (year, month, day, hour, minute, second), UTC.
        lat_e6: 1e-6 degree, WGS-84; five decimals of a minute carry it exactly.
        lon_e6: As above.
        altitude_dm: Above mean sea level, 0.1 m.
        speed_cms: Over ground, cm/s.
        course_deg: Over ground, 0..359.
    """
    at = "%02d%02d%02d.00" % (clock[3], clock[4], clock[5])
    where = "%s,%s,%s,%s" % (
        _angle(lat_e6, "%02d%02d.%05d"), "S" if lat_e6 < 0 else "N",
        _angle(lon_e6, "%03d%02d.%05d"), "W" if lon_e6 < 0 else "E",
    )  # fmt: skip
    knots = speed_cms * 1_000_000 // 51_444  # In thousandths.
    kmh = "%d.%03d" % (speed_cms * 36 // 1000, speed_cms * 36 % 1000)
    speed = "%d.%03d" % (knots // 1000, knots % 1000)
    altitude = "%s%d.%d" % (
        "-" if altitude_dm < 0 else "",
        abs(altitude_dm) // 10,
        abs(altitude_dm) % 10,
    )
    date = "%02d%02d%02d" % (clock[2], clock[1], clock[0] % 100)
    return b"".join((
        sentence("GNRMC,%s,A,%s,%s,%d.00,%s,,,A" % (at, where, speed, course_deg, date)),
        sentence("GNGGA,%s,%s,1,11,0.90,%s,M,8.0,M,," % (at, where, altitude)),
        sentence("GNGSA,A,3,03,06,09,12,17,19,22,24,25,28,32,,1.60,0.90,1.32"),
        sentence("GNVTG,%d.00,T,,M,%s,N,%s,K,A" % (course_deg, speed, kmh)),
    ))  # fmt: skip


def no_fix(clock: tuple) -> bytes:
    """Return what a receiver says that knows the time and no place."""
    at = "%02d%02d%02d.00" % (clock[3], clock[4], clock[5])
    date = "%02d%02d%02d" % (clock[2], clock[1], clock[0] % 100)
    return b"".join((
        sentence("GNRMC,%s,V,,,,,,,%s,,,N" % (at, date)),
        sentence("GNGGA,%s,,,,,0,00,99.99,,,,,," % at),
        sentence("GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99"),
        sentence("GNVTG,,,,,,,,,N"),
    ))  # fmt: skip


def sentence(body: str) -> bytes:
    """Put `$`, checksum and line end around a sentence's body."""
    data = body.encode()
    checksum = 0
    for byte in data:
        checksum ^= byte
    return b"$" + data + ("*%02X\r\n" % checksum).encode()


def _angle(value_e6: int, form: str) -> str:
    degrees, rest_e6 = divmod(abs(value_e6), 1_000_000)
    minutes_e5 = rest_e6 * 6  # 1e-6 degree is exactly 6e-5 minute.
    return form % (degrees, minutes_e5 // 100_000, minutes_e5 % 100_000)
