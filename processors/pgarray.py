"""PostgreSQL's binary arrays, encoded and decoded by numpy: whole columns as parameters and as results.

An array of one dimension without nulls is five 32-bit integers (dimensions, whether there are nulls, the type of its
elements, their number, the first subscript), then for each element a 32-bit length and its bytes, all big-endian.
Source: array_send and array_recv in src/backend/utils/adt/arrayfuncs.c.
"""

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from processors.columns import to_int4
from processors.pgcopy import PG_EPOCH, WIRE

Kind = Literal["int4", "float8", "timestamptz"]

_OIDS: Final = {"int4": 23, "float8": 701, "timestamptz": 1184}
ARRAY_OIDS: Final = {"int4": 1007, "float8": 1022, "timestamptz": 1185}
"""The types of the arrays themselves, from pg_type.dat."""
_FIRST_ELEMENT: Final = 20
"""Where it begins, in bytes."""


def encode(values: NDArray[Any], kind: Kind) -> bytes:
    """Encode values of shape (n,); times are microseconds since 1970. Raises OverflowError as a COPY would."""
    if not len(values):
        return np.array([0, 0, _OIDS[kind]], ">i4").tobytes()
    head = np.array([1, 0, _OIDS[kind], len(values), 1], ">i4")
    elements = np.empty(len(values), _element(kind))
    elements["length"] = elements.dtype["value"].itemsize
    elements["value"] = _to_wire(values, kind)
    return head.tobytes() + elements.tobytes()


def decode(array: bytes | None, kind: Kind) -> NDArray[Any]:
    """Decode what `array_send(array_agg(...))` gave, without nulls among it; of no rows that is no array at all."""
    if array is None:
        return np.empty(0, np.dtype(WIRE[kind]).newbyteorder("="))
    elements = np.frombuffer(array, _element(kind), offset=_FIRST_ELEMENT)
    values = elements["value"].astype(elements.dtype["value"].newbyteorder("="))
    return values + PG_EPOCH if kind == "timestamptz" else values


def _element(kind: Kind) -> np.dtype[np.void]:
    return np.dtype([("length", ">i4"), ("value", WIRE[kind])])


def _to_wire(values: NDArray[Any], kind: Kind) -> NDArray[Any]:
    match kind:
        case "int4":
            return to_int4(values, "array")
        case "timestamptz":
            return values - PG_EPOCH
        case _:
            return values
