"""What a receiver would say: RMC and GGA of one epoch."""

from __future__ import annotations

import datetime


def epoch(at_s: int, lat_e6: int, lon_e6: int, speed_cms: int = 120, ms: int = 0) -> str:
    """Return the sentences of a fix at a Unix time; receivers print hundredths of a second."""
    at = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    clock, date = at.strftime(f"%H%M%S.{ms // 10:02}"), at.strftime("%d%m%y")
    place = f"{_angle(lat_e6, 2)},{'N' if lat_e6 >= 0 else 'S'},"
    place += f"{_angle(lon_e6, 3)},{'E' if lon_e6 >= 0 else 'W'}"
    knots = speed_cms * 3600 / 185_200
    return _sentence(f"GNRMC,{clock},A,{place},{knots:.2f},90.0,{date},,,A") + _sentence(
        f"GNGGA,{clock},{place},1,09,0.8,12.5,M,9.1,M,,"
    )


def void(at_s: int) -> str:
    """Return the sentences of an epoch without a fix."""
    clock = datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%H%M%S.00")
    return _sentence(f"GNRMC,{clock},V,,,,,,,,,,N")


def _angle(e6: int, digits: int) -> str:
    degrees, rest = divmod(abs(e6), 1_000_000)
    return f"{degrees:0{digits}d}{rest * 60 / 1_000_000:09.6f}"


def _sentence(body: str) -> str:
    value = 0
    for byte in body.encode():
        value ^= byte
    return f"${body}*{value:02X}\r\n"
