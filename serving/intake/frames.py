"""Records in a file that may end in the middle of one: length, checksum, bytes.

What was cut off by a crash had not been acknowledged; it is recognised and left out.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator

HEAD = struct.Struct("<II")
LONGEST = 1 << 20


def framed(records: Iterable[bytes]) -> bytes:
    """Records as they stand in a journal.

    >>> [*whole(framed([b"a", b"bc"]))]
    [(9, b'a'), (19, b'bc')]
    """
    return b"".join(HEAD.pack(len(r), zlib.crc32(r)) + r for r in records)


def whole(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole records at the beginning of some bytes, each with the offset at which it ends.

    >>> [*whole(framed([b"a"]) + framed([b"cut off"])[:-1])]
    [(9, b'a')]
    """
    start = 0
    while start + HEAD.size <= len(content):
        length, checksum = HEAD.unpack_from(content, start)
        end = start + HEAD.size + length
        record = content[start + HEAD.size : end]
        if length > LONGEST or end > len(content) or zlib.crc32(record) != checksum:
            return
        yield end, record
        start = end
