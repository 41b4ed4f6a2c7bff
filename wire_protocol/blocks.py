"""Applications on their way to a device: requests, pieces of blocks, and the signed manifest.

`up/block_request` is JSON; `down/block` is binary, little-endian: `version u8 | block u8 | piece
u8 | pieces u8 | release u32 | data`. Block 255 is the manifest. A message without pieces (0)
refuses, and its data say why. A block has 4096 bytes and travels in pieces of 1024, because no
packet for a device has more than 1792.

A manifest: `version u8 | board u8+text | name u8+text | release u32 | built_s u32 | blocks u8 |
SHA-256 of the slot | SHA-256 of each block | signature`, the signature ECDSA over P-256 and
SHA-256 of all before it, r and s of 32 bytes each. The slot is as long as its blocks.
"""

import struct
from collections import namedtuple

from wire_protocol import lean
from wire_protocol.errors import WireError

VERSION = 1
BLOCK_BYTES = 4096
PIECE_BYTES = 1024
PIECES = 4  # Of a block; the last of a manifest is shorter.
MANIFEST = 255
BLOCKS_MAX = 28  # Of an application slot: 112 KiB.
DIGEST_BYTES = 32
SIGNATURE_BYTES = 64
BOARD_BYTES_MAX = 20
NAME_BYTES_MAX = 20
REASON_BYTES_MAX = 100
RELEASE_MAX = 0x7FFFFFFF  # A device keeps it as a signed number.
HEADER_BYTES = 8
MANIFEST_BYTES_MAX = 2 * PIECE_BYTES

_HEADER = "<BBBBI"
_NUMBERS_BYTES = 9

Piece = namedtuple("Piece", ("release", "block", "piece", "pieces", "data"))
Manifest = namedtuple("Manifest", ("board", "name", "release", "built_s", "digest", "digests"))


def make_request(board: str, release: int, block: int, pieces: int) -> bytes:
    """Return the wish for some pieces of a block.

    Args:
        board: Whose application.
        release: Of the manifest that is followed; 0 with block MANIFEST: the newest there is.
        block: 0..27, or MANIFEST.
        pieces: Bit n for piece n, 1..15.
    """
    return lean.dump({"board": board, "release": release, "block": block, "pieces": pieces})


def parse_request(payload: bytes) -> lean.Json:
    """Return {"board", "release", "block", "pieces"}; WireError if it is no request."""
    request = lean.load(payload)
    board = request.get("board")
    if type(board) is not str or not 0 < len(board) <= BOARD_BYTES_MAX or _has_other(board):
        raise WireError(f"board {repr(board)[:40]}, not 1..{BOARD_BYTES_MAX} of a-z 0-9 _")
    lean.check_int(request, "release", 0, RELEASE_MAX)
    if request.get("block") != MANIFEST:
        lean.check_int(request, "release", 1, RELEASE_MAX)
        lean.check_int(request, "block", 0, BLOCKS_MAX - 1)
    lean.check_int(request, "pieces", 1, (1 << PIECES) - 1)
    return {name: request[name] for name in ("board", "release", "block", "pieces")}


def make_piece(release: int, block: int, piece: int, whole: bytes) -> bytes:
    """Return one piece of a block or manifest."""
    pieces = (len(whole) + PIECE_BYTES - 1) // PIECE_BYTES
    if not 0 <= piece < pieces <= PIECES:
        raise WireError(f"piece {piece} of {len(whole)} bytes")
    data = whole[piece * PIECE_BYTES : (piece + 1) * PIECE_BYTES]
    return struct.pack(_HEADER, VERSION, block, piece, pieces, release) + data


def make_refusal(release: int, block: int, reason: str) -> bytes:
    """Return the answer to a request that cannot be met; the reason is cut at 100 bytes."""
    data = reason.encode()[:REASON_BYTES_MAX]
    return struct.pack(_HEADER, VERSION, block, 0, 0, release) + data


def parse_piece(payload: bytes) -> Piece:
    """Return a Piece, `pieces` 0 in a refusal; WireError if it is none."""
    size = len(payload) - HEADER_BYTES
    if not 0 <= size <= PIECE_BYTES:
        raise WireError(f"block message of {len(payload)} bytes")
    version, block, piece, pieces, release = struct.unpack_from(_HEADER, payload, 0)
    if version != VERSION:
        raise WireError(f"version {version}, only {VERSION} can be read here")
    if block >= BLOCKS_MAX and block != MANIFEST:
        raise WireError(f"block {block}, not 0..{BLOCKS_MAX - 1}")
    if pieces > PIECES or (pieces and (piece >= pieces or not size)):
        raise WireError(f"piece {piece} of {pieces}, {size} bytes")
    # Nobody follows a block whose pieces in the middle are short.
    if pieces and size < PIECE_BYTES and (piece < pieces - 1 or block != MANIFEST):
        raise WireError(f"piece {piece} of {pieces} has {size} bytes")
    return Piece(release, block, piece, pieces, payload[HEADER_BYTES:])


def pack_manifest(manifest: Manifest) -> bytes:
    """Return the part of a manifest that is to be signed; WireError if a field cannot be."""
    board, name, count = manifest.board, manifest.name.encode(), len(manifest.digests)
    if not 0 < len(board) <= BOARD_BYTES_MAX or _has_other(board):
        raise WireError(f"board {board[:40]!r}, not 1..{BOARD_BYTES_MAX} of a-z 0-9 _")
    if not 0 < len(name) <= NAME_BYTES_MAX or not 0 < count <= BLOCKS_MAX:
        raise WireError(f"version of {len(name)} bytes or {count} blocks")
    if not 0 < manifest.release <= RELEASE_MAX or not 0 <= manifest.built_s <= lean.U32_MAX:
        raise WireError(f"release {manifest.release}, not 1..{RELEASE_MAX}")
    head = bytes((VERSION, len(board))) + board.encode() + bytes((len(name),)) + name
    numbers = struct.pack("<IIB", manifest.release, manifest.built_s, count)
    signed: bytes = head + numbers + manifest.digest + b"".join(manifest.digests)
    return signed


def parse_manifest(content: bytes) -> "tuple[Manifest, bytes, bytes]":
    """Return (manifest, the signed part, the signature), nothing of it proved yet.

    Raises:
        WireError: It is no manifest, or longer or shorter than it says.
    """
    if not SIGNATURE_BYTES < len(content) <= MANIFEST_BYTES_MAX or content[0] != VERSION:
        raise WireError(f"manifest of {len(content)} bytes, or not of version {VERSION}")
    signed, signature = content[:-SIGNATURE_BYTES], content[-SIGNATURE_BYTES:]
    try:
        at = 2 + signed[1]
        board = str(signed[2:at], "utf-8")
        end = at + 1 + signed[at]
        name = str(signed[at + 1 : end], "utf-8")
    except (ValueError, IndexError):
        raise WireError("manifest without the name of its board") from None
    if len(signed) < end + _NUMBERS_BYTES:
        raise WireError(f"manifest of {len(content)} bytes")
    release, built_s, count = struct.unpack_from("<IIB", signed, end)
    at = end + _NUMBERS_BYTES
    if not 0 < count <= BLOCKS_MAX or len(signed) != at + (count + 1) * DIGEST_BYTES:
        raise WireError(f"manifest of {len(content)} bytes with {count} blocks")
    if not 0 < release <= RELEASE_MAX:
        raise WireError(f"release {release}, not 1..{RELEASE_MAX}")
    digests = [
        signed[place : place + DIGEST_BYTES]
        for place in range(at + DIGEST_BYTES, len(signed), DIGEST_BYTES)
    ]
    digest = signed[at : at + DIGEST_BYTES]
    return Manifest(board, name, release, built_s, digest, digests), signed, signature


def _has_other(text: str) -> bool:
    return bool(text.strip("abcdefghijklmnopqrstuvwxyz0123456789_"))
