"""PostgreSQL's binary COPY format, encoded by numpy: a whole column at a time, about 0.1 us a row.

Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". Every row is a 16-bit count of
fields, then for each field a 32-bit length and its bytes, all big-endian.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from processors.columns import to_int4

Kind = Literal["bool", "int4", "int8", "float8", "timestamptz", "text"]
Column = tuple[str, Kind, NDArray[Any]]
"""Name, type in the table, and values of shape (n,); times in microseconds since 1970, text as numpy `S`."""

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
WIRE: Final = {"bool": "u1", "int4": ">i4", "int8": ">i8", "float8": ">f8", "timestamptz": ">i8"}
PG_EPOCH: Final = 946_684_800_000_000
"""2000-01-01, where PostgreSQL counts from, in microseconds since 1970."""


def encode(columns: Sequence[Column]) -> bytes:
    """Encode columns of one length as the body of `COPY ... FROM STDIN (FORMAT BINARY)`.

    At most one column may be text: its rows are grouped by length, since a record array has rows of one size; the
    order of rows is then not kept. Raises OverflowError for an integer that does not fit its column.
    """
    texts = [values for _, kind, values in columns if kind == "text"]
    if not texts:
        return _HEADER + _encode_rows(columns, 0) + _TRAILER
    (text,) = texts
    lengths = np.char.str_len(text)
    parts = []
    for length in np.unique(lengths).tolist():
        chosen = lengths == length
        parts.append(_encode_rows([(name, kind, values[chosen]) for name, kind, values in columns], length))
    return b"".join((_HEADER, *parts, _TRAILER))


def _encode_rows(columns: Sequence[Column], text_length: int) -> bytes:
    wires = [WIRE.get(kind, f"S{text_length}") for _, kind, _ in columns]
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for index, wire in enumerate(wires):
        layout.append((f"length{index}", ">i4"))
        if wire != "S0":
            layout.append((f"value{index}", wire))
    rows = np.empty(len(columns[0][2]), dtype=layout)
    rows["fields"] = len(columns)
    for index, (name, kind, values) in enumerate(columns):
        rows[f"length{index}"] = np.dtype(wires[index]).itemsize if wires[index] != "S0" else 0
        if wires[index] != "S0":
            rows[f"value{index}"] = _values(name, kind, values)
    return rows.tobytes()


def _values(name: str, kind: Kind, values: NDArray[Any]) -> NDArray[Any]:
    match kind:
        case "int4":
            return to_int4(values, name)
        case "timestamptz":
            return values - PG_EPOCH
        case _:
            return values
