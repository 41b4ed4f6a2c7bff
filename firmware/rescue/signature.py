"""Checks an ECDSA signature over P-256 and SHA-256 with nothing but whole numbers.

Only for checking: nothing secret passes through here, so nothing has to take equal time. FIPS
186-4, section 6.4; points in Jacobian coordinates (x / z**2, y / z**3), z = 0 is infinity.
"""

import asyncio
import hashlib

KEY_BYTES = SIGNATURE_BYTES = 64

# SEC 2, section 2.4.2: secp256r1.
_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
_GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
_BITS_AT_ONCE = 4  # Between two turns of the others; a bit takes some 10 ms on the chip.


async def is_signed(message: bytes, signature: bytes, key: bytes) -> bool:
    """Say whether a signature of a message was made with the private half of a key.

    Args:
        message: What was signed.
        signature: r and s, 32 bytes each, big-endian.
        key: x and y of the public key, 32 bytes each, big-endian.
    """
    if len(signature) != SIGNATURE_BYTES or len(key) != KEY_BYTES:
        return False
    r, s = _number(signature[:32]), _number(signature[32:])
    x, y = _number(key[:32]), _number(key[32:])
    if not (0 < r < _N and 0 < s < _N and x < _P and y < _P):
        return False
    if (y * y - (x * x - 3) * x - _B) % _P:
        return False  # Not on the curve.
    inverse = pow(s, _N - 2, _N)
    u = _number(hashlib.sha256(message).digest()) * inverse % _N
    v = r * inverse % _N
    base, point = (_GX, _GY, 1), (x, y, 1)
    both = _add(base, point)
    total = (0, 1, 0)
    for bit in range(255, -1, -1):
        total = _double(total)
        which = (u >> bit & 1) | (v >> bit & 1) << 1
        if which:
            total = _add(total, (base, point, both)[which - 1])
        if bit % _BITS_AT_ONCE == 0:
            await asyncio.sleep_ms(0)
    if not total[2]:
        return False
    inverse = pow(total[2], _P - 2, _P)
    return total[0] * inverse * inverse % _P % _N == r


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _double(point: tuple) -> tuple:
    x, y, z = point
    if not z or not y:
        return 0, 1, 0
    yy = y * y % _P
    s = 4 * x * yy % _P
    zz = z * z % _P
    m = 3 * (x - zz) * (x + zz) % _P  # a = -3
    x3 = (m * m - 2 * s) % _P
    return x3, (m * (s - x3) - 8 * yy * yy) % _P, 2 * y * z % _P


def _add(a: tuple, b: tuple) -> tuple:
    if not a[2]:
        return b
    if not b[2]:
        return a
    x1, y1, z1 = a
    x2, y2, z2 = b
    zz1, zz2 = z1 * z1 % _P, z2 * z2 % _P
    u1, u2 = x1 * zz2 % _P, x2 * zz1 % _P
    s1, s2 = y1 * z2 * zz2 % _P, y2 * z1 * zz1 % _P
    if u1 == u2:
        return _double(a) if s1 == s2 else (0, 1, 0)
    h, r = (u2 - u1) % _P, (s2 - s1) % _P
    hh = h * h % _P
    hhh, v = h * hh % _P, u1 * hh % _P
    x3 = (r * r - hhh - 2 * v) % _P
    return x3, (r * (v - x3) - s1 * hhh) % _P, h * z1 * z2 % _P
