"""NMEA 0183 becomes one fix an epoch, whatever the order of sentences and the line's noise."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from device.domain.nmea import LINE_BYTES_MAX, GnssFix, NmeaParser
from hypothesis import given, settings
from hypothesis import strategies as st

DAY = 1_767_225_600_000  # 2026-01-01


def sentence(body: str) -> bytes:
    value = 0
    for byte in body.encode():
        value ^= byte
    return f"${body}*{value:02X}\r\n".encode()


def rmc(
    time="120000.00", status="A", lat="3016.4451,N", lon="12009.3042,E", date="010126", **more
):
    speed, course = more.get("speed", "2.4"), more.get("course", "87.6")
    body = f"{more.get('talker', 'GN')}RMC,{time},{status},{lat},{lon},{speed},{course},{date},,,A"
    return sentence(body)


def gga(time="120000.00", quality="1", lat="3016.4451,N", lon="12009.3042,E", **more):
    alt, hdop, used = more.get("alt", "41.3"), more.get("hdop", "0.9"), more.get("used", "08")
    body = (
        f"{more.get('talker', 'GN')}GGA,{time},{lat},{lon},{quality},{used},{hdop},{alt},M,9.1,M,,"
    )
    return sentence(body)


def gns(time="120000.00", mode="AAN", lat="3016.4451,N", lon="12009.3042,E", status="S"):
    return sentence(f"GNGNS,{time},{lat},{lon},{mode},12,0.9,41.3,9.1,,,{status}")


def gsa(mode="3", hdop="1.2", talker="GN"):
    return sentence(f"{talker}GSA,A,{mode},02,07,14,,,,,,,,,,2.5,{hdop},1.9")


def vtg(speed="2.4", course="87.6", mode="A"):
    return sentence(f"GNVTG,{course},T,,M,{speed},N,4.4,K,{mode}")


def zda(time, day, month, year):
    return sentence(f"GNZDA,{time},{day},{month},{year},00,00")


def fixes_of(*parts: bytes, parser=None) -> list[GnssFix]:
    """Return the fixes of some lines; an epoch without a fix ends the last one."""
    parser = parser or NmeaParser()
    data = b"".join(parts) + rmc("221100.00", status="V")
    return list(parser.feed(data, len(data)))


def seconds(*fixes):
    return [(fix.at_ms - DAY) / 1000 for fix in fixes]


def test_one_epoch_of_all_sentences_is_one_fix_with_all_they_say():
    (fix,) = fixes_of(rmc(), vtg(), gga(), gsa(), gsa(mode="2"))

    assert fix == GnssFix(
        at_ms=DAY + 12 * 3_600_000,
        lat_e6=30_274_085,
        lon_e6=120_155_070,
        alt_mm=41_300,
        speed_cms=123,
        course_deg=88,
        accuracy_m=5,
        speed_mms=1235,
        course_ddeg=876,
        satellites=8,
        dimensions=3,
    )


@pytest.mark.parametrize(
    "order",
    [
        (rmc, gga),
        (gga, rmc),
        (gga, gns, vtg, rmc, gsa, gsa),
        (gns, rmc),
        (rmc, gsa, gga, vtg),
        (gsa, rmc),
        (rmc,),
    ],
)
def test_the_order_of_sentences_does_not_matter(order):
    parts = [
        b"".join(make(f"12000{n}.00") if make in (rmc, gga, gns) else make() for make in order)
        for n in range(3)
    ]

    fixes = fixes_of(*parts)

    assert seconds(*fixes) == [43_200, 43_201, 43_202]
    assert {(fix.lat_e6, fix.lon_e6) for fix in fixes} == {(30_274_085, 120_155_070)}


def test_five_and_ten_fixes_a_second_are_told_apart():
    for step in (200, 100):
        times = [f"120000.{ms:03}" for ms in range(0, 1000, step)]
        fixes = fixes_of(*[rmc(time) + gga(time) for time in times])
        assert [fix.at_ms % 1000 for fix in fixes] == list(range(0, 1000, step))


def test_times_within_ten_milliseconds_are_one_epoch_and_the_last_counts():
    (fix,) = fixes_of(gga("120000.99"), rmc("120001.00"))

    assert seconds(fix) == [43_201]


@pytest.mark.parametrize(
    ("time", "ms"),
    [
        ("120000", 0),
        ("120000.", 0),
        ("120000.6", 600),
        ("120000.60", 600),
        ("120000.001", 1),
        ("120000.0004", 0),
        ("120000.0005", 1),
        ("120000.98765", 988),
        ("120059.9996", 60_000),
    ],
)
def test_times_are_kept_to_the_millisecond(time, ms):
    (fix,) = fixes_of(rmc(time))

    assert fix.at_ms == DAY + 12 * 3_600_000 + ms


@pytest.mark.parametrize(
    ("date", "year"), [("010100", 2000), ("010168", 2068), ("010169", 1969), ("010199", 1999)]
)
def test_two_digits_of_a_year_below_69_are_of_this_century(date, year):
    (fix,) = fixes_of(rmc(date=date))

    days = (year - 1970) * 365 + (year - 1969) // 4 - (1 if year > 2100 else 0)
    assert fix.at_ms == days * 86_400_000 + 12 * 3_600_000


def test_a_date_after_a_week_rollover_is_given_as_it_came():
    (fix,) = fixes_of(rmc(date="170506"))

    assert fix.at_ms == 1_147_867_200_000  # 2006-05-17


def test_leap_days_are_counted():
    for date, at in (("290224", 1_709_208_000_000), ("010324", 1_709_294_400_000)):
        (fix,) = fixes_of(rmc(date=date))
        assert fix.at_ms == at


@pytest.mark.parametrize("first", [gga, gns])
def test_midnight_passes_with_the_date_behind_the_position(first):
    before = first("235959.00") + rmc("235959.00", date="311225")
    after = first("000000.00") + rmc("000000.00", date="010126")

    assert seconds(*fixes_of(before, after)) == [-1, 0]


def test_midnight_passes_while_no_date_comes():
    fixes = fixes_of(
        rmc("235958.00", date="311225"), gga("235959.00"), gga("000000.00"), gga("000001.00")
    )

    assert seconds(*fixes) == [-2, -1, 0, 1]


def test_a_date_of_zda_serves_a_receiver_without_rmc():
    parts = [zda("235959.00", "31", "12", "2025") + gga("235959.00"), gga("000000.00")]

    assert seconds(*fixes_of(*parts)) == [-1, 0]


def test_a_zda_ahead_of_the_epoch_does_not_move_the_one_before_midnight():
    parts = [gga("235959.00"), zda("000000.00", "01", "01", "2026"), gga("000000.00")]

    assert seconds(*fixes_of(*parts)) == [-1, 0]


def test_without_a_date_there_is_no_fix():
    assert fixes_of(gga("120000.00"), gga("120001.00"), gga("120002.00")) == []


@pytest.mark.parametrize(
    "epoch",
    [
        rmc(status="V"),
        rmc(status=""),
        rmc() + gga(quality="0"),
        gga(quality="0") + rmc(),
        gga() + rmc(status="V"),
        gga(quality="") + rmc(),
        rmc(lat=",", lon=","),
        rmc() + gns(mode="NNN"),
        rmc() + gns(mode=""),
        rmc(lat="8960.0000,N", lon="00000.0000,E"),
        rmc(lat="3016.4451,X"),
        rmc(lat="3016.4451,"),
        rmc(lat="30z6.4451,N"),
        rmc(lat="-3016.4451,N"),
        rmc(lat="9000.0001,N"),
        rmc(lon="18000.0001,E"),
        rmc(lon="12009.3042,N"),
    ],
)
def test_an_epoch_that_any_sentence_calls_void_gives_no_fix(epoch):
    good = rmc("115959.00") + gga("115959.00")

    assert seconds(*fixes_of(good, epoch, rmc("120009.00"))) == [43_199, 43_209]


def test_a_constellation_without_satellites_does_not_void_the_others():
    (fix,) = fixes_of(rmc() + gga(talker="GP") + gga(talker="GL", quality="0", lat=",", lon=","))

    assert fix.satellites == 8


def test_a_gns_whose_status_is_not_for_navigation_gives_no_position():
    assert fixes_of(rmc("115959.00"), gns(status="V"), gns("120001.00", status="V"))[1:] == []


def test_losing_the_fix_without_a_time_keeps_the_last_epoch_and_ends_it():
    lost = sentence("GPRMC,,V,,,,,,,,,,N") + sentence("GPGGA,,,,,,0,,,,,,,,")

    for order in (rmc() + gga(), gga() + rmc()):
        assert seconds(*fixes_of(order, lost, lost, rmc("120010.00"))) == [43_200, 43_210]


def test_a_fix_is_given_once_however_often_its_time_comes():
    parser = NmeaParser()

    fixes = fixes_of(
        rmc(), rmc("120001.00"), rmc(), rmc("120001.00"), rmc("120002.00"), parser=parser
    )

    assert seconds(*fixes) == [43_200, 43_201, 43_202]
    assert parser.repeated == 2


def test_a_receiver_whose_clock_is_set_back_by_more_than_a_moment_goes_on():
    assert seconds(*fixes_of(rmc("120000.00"), rmc("110000.00"))) == [43_200, 39_600]


def test_a_quiet_line_gives_the_fix_at_once_when_all_sentences_came():
    parser = NmeaParser()

    def feed(data):
        return parser.feed(data, len(data))

    assert feed(rmc("120000.00") + gga("120000.00")) == []
    assert seconds(parser.flush()) == [43_200]
    assert parser.flush() is None
    assert feed(vtg() + gsa()) == []
    assert feed(rmc("120001.00")) == []
    assert parser.flush() is None, "the GGA of this epoch is still to come"
    assert feed(gga("120001.00")) == []
    assert seconds(parser.flush()) == [43_201]
    assert feed(gga("120001.00")) == [], "late sentences of a given epoch change nothing"
    assert seconds(*feed(rmc("120002.00") + gga("120002.00") + rmc("120003.00"))) == [43_202]


def test_speed_and_course_come_from_vtg_where_rmc_has_none():
    (fix,) = fixes_of(rmc(speed="", course=""), vtg("1.0", "359.96"))

    assert (fix.speed_mms, fix.speed_cms, fix.course_ddeg, fix.course_deg) == (514, 51, 0, 0)


@pytest.mark.parametrize("mode", ["N", "E"])
def test_a_vtg_that_is_not_valid_says_nothing(mode):
    (fix,) = fixes_of(rmc(speed="", course=""), vtg(mode=mode))

    assert (fix.speed_mms, fix.course_deg) == (None, None)


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("speed", "-1.0", "speed_cms"),
        ("speed", "1273.1", "speed_cms"),
        ("speed", "fast", "speed_cms"),
        ("course", "360.1", "course_deg"),
        ("course", "-0.1", "course_deg"),
    ],
)
def test_a_number_that_cannot_be_is_unknown(field, value, name):
    (fix,) = fixes_of(rmc(**{field: value}))

    assert getattr(fix, name) is None


@pytest.mark.parametrize(
    ("hdop", "accuracy"), [("0.9", 5), ("1.01", 6), ("99.99", None), ("0.00", None), ("", None)]
)
def test_accuracy_comes_from_the_dilution_where_it_is_one(hdop, accuracy):
    (fix,) = fixes_of(rmc() + gga(hdop=hdop))

    assert fix.accuracy_m == accuracy


def test_the_dilution_of_gsa_serves_where_no_gga_comes():
    (fix,) = fixes_of(rmc() + gsa(hdop="1.2"))

    assert (fix.accuracy_m, fix.dimensions) == (6, 3)


def test_altitudes_below_the_sea_are_negative():
    (fix,) = fixes_of(rmc() + gga(alt="-99.4"))

    assert fix.alt_mm == -99_400


@given(
    st.integers(0, 89),
    st.integers(0, 179),
    st.decimals(0, "59.9999999", allow_nan=False, places=7),
    st.integers(0, 12),
    st.booleans(),
)
@settings(deadline=None)
def test_coordinates_are_rounded_once_from_any_number_of_digits(lat, lon, minutes, digits, south):
    text = f"{minutes:010.7f}"[: 3 + digits]
    exact = Fraction(text.rstrip(".") or 0)
    (fix,) = fixes_of(
        rmc(
            lat=f"{lat:02}{text},{'S' if south else 'N'}",
            lon=f"{lon:03}{text},{'W' if south else 'E'}",
        )
    )

    sign = -1 if south else 1
    for degrees, found in ((lat, fix.lat_e6), (lon, fix.lon_e6)):
        wanted = (degrees + exact / 60) * 1_000_000
        assert abs(found * sign - wanted) <= Fraction(1, 2)


def test_a_half_is_rounded_away_from_zero_even_behind_many_digits():
    for lat, wanted in (
        ("0000.00003", 1),  # 0.5e-6 degree
        ("0000.000029999999999999999", 0),
        ("0000.000030000000000000001", 1),
        ("0000.00002999", 0),
    ):
        (fix,) = fixes_of(rmc(lat=f"{lat},S"))
        assert fix.lat_e6 == -wanted


def test_poles_and_date_line_are_on_the_earth():
    (fix,) = fixes_of(rmc(lat="9000.0000,S", lon="18000.0000,W"))

    assert (fix.lat_e6, fix.lon_e6) == (-90_000_000, -180_000_000)


def test_any_talker_is_read_and_proprietary_sentences_are_not():
    for talker in ("GP", "GL", "GA", "GB", "BD", "GQ", "GI", "GN", "QZ", "ZZ"):
        assert len(fixes_of(rmc(talker=talker))) == 1
    for talker in ("PG", "PM", "P1"):  # $PGRMC is Garmin's configuration.
        assert fixes_of(rmc(talker=talker)) == []


def counters(parser):
    return {
        name: getattr(parser, name)
        for name in (
            "sentences",
            "checksum_errors",
            "malformed",
            "overlong",
            "broken",
            "garbage_bytes",
        )
        if getattr(parser, name)
    }


@pytest.mark.parametrize(
    ("line", "counted"),
    [
        (rmc().replace(b"12009", b"12109"), {"checksum_errors": 1}),
        (rmc()[:-5] + b"\r\n", {"checksum_errors": 1}),
        (rmc()[:-4] + b"ZZ\r\n", {"checksum_errors": 1}),
        (rmc()[:-4] + b" 1\r\n", {"checksum_errors": 1}),
        (rmc()[:-3] + b"\r\n", {"checksum_errors": 1}),
        (rmc("256000.00"), {"sentences": 1, "malformed": 1}),
        (rmc("126000.00"), {"sentences": 1, "malformed": 1}),
        (rmc("120061.00"), {"sentences": 1, "malformed": 1}),
        (rmc("12:00:00"), {"sentences": 1, "malformed": 1}),
        (rmc("-120000"), {"sentences": 1, "malformed": 1}),
        (b"$GNRMC,120000.00,A,30", {"broken": 1}),
        (b"$GNRMC,1200\x00\x00.00,A,30\r\n", {"broken": 1, "garbage_bytes": 9}),
        (b"$" + b"X" * (LINE_BYTES_MAX + 3) + b"\r\n", {"overlong": 1, "garbage_bytes": 3}),
        (b"noise\xff\xfe\n", {"garbage_bytes": 7}),
        (b"\r\n\r\n\n", {}),
        (b"$\r\n$$\r\n", {"broken": 1}),
        (b"$GNRMC\r\n$GNRMC,\r\n$GNRMC,*\r\n", {"checksum_errors": 0}),
        (sentence("GNGSV,1,1,00"), {}),
        (sentence("GNC,G,1,1,00"), {}),
        (b"!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n", {"garbage_bytes": 47}),
    ],
)
def test_what_is_no_sentence_is_counted_and_the_next_one_is_read(line, counted):
    parser = NmeaParser()

    fixes = fixes_of(line, rmc("120005.00"), parser=parser)

    assert seconds(*fixes) == [43_205]
    expected = {"sentences": 2}
    for name, count in counted.items():
        expected[name] = expected.get(name, 0) + count
    assert counters(parser) == {name: count for name, count in expected.items() if count}


def test_checksums_in_small_letters_and_spaces_behind_them_are_read():
    line = rmc(course="87.1")
    assert line != line.lower()

    for other in (
        line[:-4] + line[-4:-2].lower() + b"\n",
        line[:-2] + b"  \r\n",
        line[:-2] + b"\r\r\n",
    ):
        assert len(fixes_of(other)) == 1


def test_a_sentence_with_more_fields_than_any_is_read_as_far_as_it_is_known():
    body = rmc()[1:-5].decode() + "," * 60

    assert len(fixes_of(sentence(body))) == 1


def test_a_sentence_with_fewer_fields_than_it_should_have_is_void():
    for body in (
        "GNRMC,120000.00",
        "GNRMC,120000.00,A",
        "GNGNS,120000.00",
        "GNGGA,120000.00,3016.4,N",
    ):
        assert seconds(*fixes_of(rmc("115959.00"), sentence(body), rmc("120009.00"))) == [
            43_199,
            43_209,
        ]


@given(st.binary(max_size=400), st.integers(0, 1 << 30))
@settings(max_examples=300, deadline=None)
def test_no_bytes_stop_the_parser(noise, seed):
    parser = NmeaParser()
    data = rmc() + noise + b"\r\n" + rmc("120030.00") + rmc("120031.00")
    dice = random.Random(seed)

    fixes, at = [], 0
    while at < len(data):
        size = dice.randint(1, 40)
        part = data[at : at + size]
        fixes += parser.feed(part, len(part))
        at += size

    assert 43_230 in seconds(*fixes)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_sentence_with_a_right_checksum_stops_the_parser(data):
    """Fields of real sentences, mixed and bent, behind a checksum that is right."""
    parser = NmeaParser()
    lines = [rmc(), gga(), gns(), gsa(), vtg(), zda("120000.00", "01", "01", "2026")]
    for _ in range(data.draw(st.integers(1, 8))):
        fields = data.draw(st.sampled_from(lines))[1:-5].decode().split(",")
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(1, len(fields) - 1))
            fields[at] = data.draw(
                st.sampled_from(
                    ["", ".", "-", "--1", "1.2.3", "9" * 30, "A", "0", "1e5", "999999", "*"]
                )
            )
        for fix in fixes_of(sentence(",".join(fields)), parser=parser):
            assert abs(fix.lat_e6) <= 90_000_000
            assert abs(fix.lon_e6) <= 180_000_000
            assert fix.speed_cms is None or 0 <= fix.speed_cms <= 65_534
            assert fix.course_deg is None or 0 <= fix.course_deg < 360


def test_memory_is_the_same_after_any_line():
    parser = NmeaParser()
    before = {
        name: len(value) for name, value in vars(parser).items() if isinstance(value, bytearray)
    }

    fixes_of(b"$" + b"," * 5000 + b"\r\n" + b"x" * 100_000, rmc(), parser=parser)

    after = {
        name: len(value) for name, value in vars(parser).items() if isinstance(value, bytearray)
    }
    assert before == after
