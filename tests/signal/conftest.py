import struct

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def riff(*, tag=1, channels=1, rate=8000, bits=16, body=b"", size=None, block=None, extra=b""):
    """Bytes of a WAV file with any header field as wanted, right or wrong."""
    block = channels * bits // 8 if block is None else block
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block & 0xFFFFFFFF, block, bits) + extra
    size = len(body) if size is None else size
    head = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(head) + len(body) & 0xFFFFFFFF) + head + body


@pytest.fixture
def make_wav():
    return riff
