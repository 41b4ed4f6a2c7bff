"""Requests, pieces and manifests: what is made is read back, and everything else is refused."""

import hashlib

import pytest

from wire_protocol import blocks
from wire_protocol.errors import WireError

BLOCK = bytes(range(256)) * 16
MANIFEST = blocks.Manifest(
    board="esp32_devkit",
    name="0.2.0-甲",
    release=blocks.RELEASE_MAX,
    built_s=1_795_000_000,
    digest=hashlib.sha256(b"slot").digest(),
    digests=[hashlib.sha256(bytes((number,))).digest() for number in range(blocks.BLOCKS_MAX)],
)
SIGNATURE = bytes(64)


@pytest.mark.parametrize(
    ("board", "release", "block", "pieces"),
    [("a", 0, 255, 1), ("a" * 20, 1, 0, 15), ("esp32_devkit", blocks.RELEASE_MAX, 27, 8)],
)
def test_a_request_is_read_back(board, release, block, pieces):
    payload = blocks.make_request(board, release, block, pieces)
    assert blocks.parse_request(payload) == {
        "board": board, "release": release, "block": block, "pieces": pieces,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("board", "release", "block", "pieces", "says"),
    [
        ("", 1, 0, 15, "board"),
        ("a" * 21, 1, 0, 15, "board"),
        ("../etc", 1, 0, 15, "board"),
        (7, 1, 0, 15, "board"),
        ("a", 0, 0, 15, "release is 0, not 1"),
        ("a", -1, 255, 15, "release is -1"),
        ("a", blocks.RELEASE_MAX + 1, 0, 15, "release is 2147483648"),
        ("a", 1, 28, 15, "block is 28, not 0..27"),
        ("a", 1, -1, 15, "block is -1"),
        ("a", 1, 0, 0, "pieces is 0, not 1..15"),
        ("a", 1, 0, 16, "pieces is 16"),
    ],
)
def test_a_request_that_cannot_be_is_refused_by_name(board, release, block, pieces, says):
    with pytest.raises(WireError, match=says):
        blocks.parse_request(blocks.make_request(board, release, block, pieces))


def test_a_block_comes_back_from_its_pieces_in_any_order():
    pieces = [
        blocks.parse_piece(blocks.make_piece(7, 3, number, BLOCK)) for number in (2, 0, 3, 1)
    ]
    assert b"".join(piece.data for piece in sorted(pieces, key=lambda row: row.piece)) == BLOCK
    assert {(piece.release, piece.block, piece.pieces) for piece in pieces} == {(7, 3, 4)}


def test_a_refusal_says_why():
    piece = blocks.parse_piece(blocks.make_refusal(7, 255, "没有 " * 60))
    assert (piece.pieces, len(piece.data)) == (0, blocks.REASON_BYTES_MAX)


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "0 bytes"),
        (bytes(7), "7 bytes"),
        (bytes(blocks.HEADER_BYTES + blocks.PIECE_BYTES + 1), "1033 bytes"),
        (b"\x02\x00\x00\x04\x01\x00\x00\x00" + bytes(1024), "version 2"),
        (b"\x01\x1c\x00\x04\x01\x00\x00\x00" + bytes(1024), "block 28"),
        (b"\x01\x00\x04\x04\x01\x00\x00\x00" + bytes(1024), "piece 4 of 4"),
        (b"\x01\x00\x00\x05\x01\x00\x00\x00" + bytes(1024), "piece 0 of 5"),
        (b"\x01\x00\x00\x04\x01\x00\x00\x00" + bytes(1023), "1023 bytes"),
        (b"\x01\xff\x00\x02\x01\x00\x00\x00" + bytes(1023), "1023 bytes"),
        (b"\x01\xff\x01\x02\x01\x00\x00\x00", "0 bytes"),
    ],
)
def test_a_piece_that_cannot_be_is_refused(payload, says):
    with pytest.raises(WireError, match=says):
        blocks.parse_piece(payload)


def test_a_manifest_is_read_back_and_fits_two_pieces():
    signed = blocks.pack_manifest(MANIFEST)
    content = signed + SIGNATURE
    assert blocks.parse_manifest(content) == (MANIFEST, signed, SIGNATURE)
    assert len(content) <= blocks.MANIFEST_BYTES_MAX


def test_a_manifest_that_was_cut_or_stretched_is_refused():
    content = blocks.pack_manifest(MANIFEST) + SIGNATURE
    for size in range(len(content)):
        with pytest.raises(WireError):
            blocks.parse_manifest(content[:size])
    with pytest.raises(WireError):
        blocks.parse_manifest(content + b"\0")


@pytest.mark.parametrize(
    "wrong",
    [
        {"board": ""},
        {"board": "a" * 21},
        {"board": "Esp32"},
        {"name": ""},
        {"name": "甲" * 7},
        {"release": 0},
        {"release": blocks.RELEASE_MAX + 1},
        {"built_s": -1},
        {"digests": []},
        {"digests": [bytes(32)] * 29},
    ],
)
def test_a_manifest_that_cannot_be_is_not_made(wrong):
    with pytest.raises(WireError):
        blocks.pack_manifest(MANIFEST._replace(**wrong))
