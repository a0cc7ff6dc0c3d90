"""Ogg streams without chance: libogg numbers them at random, and equal runs shall give equal bytes."""

from __future__ import annotations

from functools import lru_cache

from .publish import Output

POLYNOMIAL = 0x104C11DB7  # of the checksum of a page, which is linear: no start value, no final inversion


def set_serial(file: Output, serial: int = 1) -> None:
    """Give the stream in a file that number, and its pages the checksums that go with it."""
    position, size = 0, file.size()
    while position < size:
        file.seek(position)
        head = file.read(27 + 255)
        length = 27 + head[26] + sum(head[27 : 27 + head[26]])
        new = serial.to_bytes(4, "little")
        change = int.from_bytes(head[14:18], "big") ^ int.from_bytes(new, "big")
        checksum = int.from_bytes(head[22:26], "little") ^ _times(change, _power(8 * (length - 18) + 32))
        file.seek(position + 14)
        file.write(new)
        file.seek(position + 22)
        file.write(checksum.to_bytes(4, "little"))
        position += length


def _times(a: int, b: int) -> int:
    """Multiply polynomials over GF(2) modulo the checksum's."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a >> 32:
            a ^= POLYNOMIAL
        b >>= 1
    return product


@lru_cache(maxsize=4096)
def _power(exponent: int) -> int:
    """Return x to that power."""
    result, base = 1, 2
    while exponent:
        if exponent & 1:
            result = _times(result, base)
        base = _times(base, base)
        exponent >>= 1
    return result
