"""Other ways to send a batch of fixes: each a name, an encoder and a decoder of whole batches.

Every one carries time, place, speed, course and accuracy of each fix, as far as it has a field for
it, in the units that it is used with in the field.
"""

from __future__ import annotations

import binascii
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cbor2
import msgpack
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from wire_protocol import frames, track

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire_protocol.track import Fix


@dataclass(frozen=True)
class Format:
    """A way to send a batch.

    Attributes:
        decode: Returns each fix as (ms, 1e-6 degree, 1e-6 degree, speed, course, accuracy), the
            last three in the units of the format; one that has no accuracy leaves it out.
        keeps: What `decode` must return for a fix: all of it, at the resolution of the format.
    """

    name: str
    encode: Callable[[list[Fix]], bytes]
    decode: Callable[[bytes], list[tuple[int, ...]]]
    keeps: Callable[[Fix], tuple[int, ...]]


def _ours_encode(fixes: list[Fix]) -> bytes:
    return frames.envelope(1, track.encode(0x9E3779B9, 1, 3, fixes))


def _ours_decode(message: bytes) -> list[tuple[int, ...]]:
    return [tuple(fix) for fix in track.decode(frames.open_envelope(message)[1]).fixes]


def _ours_keeps(fix: Fix) -> tuple[int, ...]:
    """cm/s; courses in steps of 2 degrees; metres up to 254: docs/wire_protocol.md, section 4."""
    course = (fix.course_deg + 1) // 2 * 2 % 360
    return (*fix[:4], course, min(fix.accuracy_m, track.ACCURACY_M_MAX))


def _json_encode(fixes: list[Fix]) -> bytes:
    """As OwnTracks' location objects: tst in s, vel in km/h, acc in m, cog in degrees."""
    return json.dumps(
        [
            {
                "_type": "location",
                "tid": "t1",
                "tst": fix.at_ms // 1000,
                "lat": fix.lat_e6 / 1e6,
                "lon": fix.lon_e6 / 1e6,
                "acc": fix.accuracy_m,
                "vel": round(fix.speed_cms * 0.036),
                "cog": fix.course_deg,
            }
            for fix in fixes
        ],
        separators=(",", ":"),
    ).encode()


def _json_decode(message: bytes) -> list[tuple[int, ...]]:
    return [
        (row["tst"] * 1000, round(row["lat"] * 1e6), round(row["lon"] * 1e6),
         row["vel"], row["cog"], row["acc"])
        for row in json.loads(message)
    ]  # fmt: skip


def _whole_seconds(fix: Fix) -> tuple[int, int, int]:
    return (fix.at_ms // 1000 * 1000, fix.lat_e6, fix.lon_e6)


def _json_keeps(fix: Fix) -> tuple[int, ...]:
    return (*_whole_seconds(fix), round(fix.speed_cms * 0.036), fix.course_deg, fix.accuracy_m)


def _rows(fixes: list[Fix]) -> list[list[int]]:
    return [[fix.at_ms // 1000, *fix[1:]] for fix in fixes]


def _fixes(rows: list[list[int]]) -> list[tuple[int, ...]]:
    return [(row[0] * 1000, *row[1:]) for row in rows]


def _rows_keep(fix: Fix) -> tuple[int, ...]:
    return (*_whole_seconds(fix), *fix[3:])


def _position_class() -> Any:
    """Return Meshtastic's Position, with the fields that are used here, in a repeated field."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="bench_position.proto", package="bench", syntax="proto3"
    )
    position = file.message_type.add(name="Position")
    for name, number, kind in (
        ("latitude_i", 1, kinds.TYPE_SFIXED32),
        ("longitude_i", 2, kinds.TYPE_SFIXED32),
        ("time", 4, kinds.TYPE_FIXED32),
        ("gps_accuracy", 14, kinds.TYPE_UINT32),
        ("ground_speed", 15, kinds.TYPE_UINT32),
        ("ground_track", 16, kinds.TYPE_UINT32),
    ):
        position.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    batch = file.message_type.add(name="Batch")
    batch.field.add(
        name="positions",
        number=1,
        type=kinds.TYPE_MESSAGE,
        label=kinds.LABEL_REPEATED,
        type_name=".bench.Position",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Batch"))


Batch = _position_class()


def _protobuf_encode(fixes: list[Fix]) -> bytes:
    """1e-7 degree, accuracy in mm, speed in m/s, course in 1e-2 degree, as Meshtastic."""
    batch = Batch()
    for fix in fixes:
        batch.positions.add(
            latitude_i=fix.lat_e6 * 10,
            longitude_i=fix.lon_e6 * 10,
            time=fix.at_ms // 1000,
            gps_accuracy=fix.accuracy_m * 1000,
            ground_speed=round(fix.speed_cms / 100),
            ground_track=fix.course_deg * 100,
        )
    return batch.SerializeToString()


def _protobuf_decode(message: bytes) -> list[tuple[int, ...]]:
    return [
        (row.time * 1000, row.latitude_i // 10, row.longitude_i // 10,
         row.ground_speed, row.ground_track // 100, row.gps_accuracy // 1000)
        for row in Batch.FromString(message).positions
    ]  # fmt: skip


def _protobuf_keeps(fix: Fix) -> tuple[int, ...]:
    return (*_whole_seconds(fix), round(fix.speed_cms / 100), fix.course_deg, fix.accuracy_m)


# Timestamp ms, priority, longitude, latitude (1e-7 degree), altitude, angle, satellites, speed in
# km/h, event, and five counts of the IO elements, none of which is used.
_AVL = struct.Struct(">QBiihHBHBBBBBB")


def _teltonika_encode(fixes: list[Fix]) -> bytes:
    data = bytearray((8, len(fixes)))
    for fix in fixes:
        data += _AVL.pack(
            fix.at_ms,
            0,
            fix.lon_e6 * 10,
            fix.lat_e6 * 10,
            0,
            fix.course_deg,
            8,
            round(fix.speed_cms * 0.036),
            *(0,) * 6,
        )
    data.append(len(fixes))
    # CRC-16/IBM has the length of this one, which the standard library computes.
    return struct.pack(">II", 0, len(data)) + data + struct.pack(">I", binascii.crc_hqx(data, 0))


def _teltonika_decode(message: bytes) -> list[tuple[int, ...]]:
    rows = _AVL.iter_unpack(message[10:-5])
    return [(row[0], row[3] // 10, row[2] // 10, row[7], row[5]) for row in rows]


def _teltonika_keeps(fix: Fix) -> tuple[int, ...]:
    return (*fix[:3], round(fix.speed_cms * 0.036), fix.course_deg)


FORMATS = (
    Format("xunhu", _ours_encode, _ours_decode, _ours_keeps),
    Format("JSON (OwnTracks)", _json_encode, _json_decode, _json_keeps),
    Format(
        "MessagePack",
        lambda fixes: msgpack.packb(_rows(fixes)),
        lambda data: _fixes(msgpack.unpackb(data)),
        _rows_keep,
    ),
    Format(
        "CBOR",
        lambda fixes: cbor2.dumps(_rows(fixes)),
        lambda data: _fixes(cbor2.loads(data)),
        _rows_keep,
    ),
    Format("protobuf (Meshtastic)", _protobuf_encode, _protobuf_decode, _protobuf_keeps),
    Format("Teltonika codec 8", _teltonika_encode, _teltonika_decode, _teltonika_keeps),
)
