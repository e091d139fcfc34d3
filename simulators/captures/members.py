"""A file of gzip members, read a whole member at a time: what a crash has cut at the end is left out.

Whoever writes syncs each member before the next one, so only the last one can be cut or spoilt.
"""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

_GZIP = 16 + zlib.MAX_WBITS
_CHUNK = 64 * 1024
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
"""How a member of ours begins: no name, no time."""


class DamagedError(Exception):
    """A member is spoilt that is not the last one; the message says where."""


def make_member(content: bytes) -> bytes:
    """Compress to a member."""
    deflate = zlib.compressobj(wbits=_GZIP)
    return deflate.compress(content) + deflate.flush()


class Members:
    """Iterates over the members' contents. `end` is the offset behind the last whole one.

    When it has come to its end, `torn` is how many bytes stand behind that: a member that a crash has cut. Raises
    DamagedError where whole members follow on one that is spoilt.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""
        self.end = 0
        self.torn = 0

    def __iter__(self) -> Iterator[bytes]:
        """Give the content of each whole member."""
        while (content := self._next()) is not None:
            yield content

    def _next(self) -> bytes | None:
        inflate = zlib.decompressobj(wbits=_GZIP)
        parts: list[bytes] = []
        size = 0
        while not inflate.eof:
            data = self._rest or self._file.read(_CHUNK)
            self._rest = b""
            if not data:
                self.torn = size
                return None
            size += len(data)
            try:
                parts.append(inflate.decompress(data))
            except zlib.error as error:
                self._give_up(str(error))
                return None
        self._rest = inflate.unused_data
        self.end += size - len(self._rest)
        return b"".join(parts)

    def _give_up(self, reason: str) -> None:
        """Take all that follows for the end of the file, unless another member begins in it."""
        self._file.seek(self.end)
        self.torn = last = 0
        tail = b""
        while data := self._file.read(_CHUNK):
            # The spoilt member may begin as one does.
            found = (tail + data).rfind(_HEAD)
            if found >= 0:
                last = self.torn - len(tail) + found
            self.torn += len(data)
            tail = data[-len(_HEAD) + 1 :]
        if last:
            raise DamagedError(f"damaged at byte {self.end}, though more follows ({reason})")
