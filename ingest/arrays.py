"""Columns as parameters of a query: numpy arrays sent as PostgreSQL's arrays, in binary."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from numpy.typing import NDArray
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format

from processors import pgarray
from processors.pgarray import ARRAY_OIDS, Kind


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """Values of shape (n,) for a parameter; one subclass a type, since psycopg goes by the class."""

    values: NDArray[Any]


class Int4s(Array):
    """`integer[]`."""


class Float8s(Array):
    """`double precision[]`."""


class Times(Array):
    """`timestamptz[]`, of microseconds since 1970."""


class _ArrayDumper(Dumper):
    format = Format.BINARY
    kind: ClassVar[Kind]

    def dump(self, obj: Array) -> bytes:
        return pgarray.encode(obj.values, self.kind)


class _Int4sDumper(_ArrayDumper):
    kind, oid = "int4", ARRAY_OIDS["int4"]


class _Float8sDumper(_ArrayDumper):
    kind, oid = "float8", ARRAY_OIDS["float8"]


class _TimesDumper(_ArrayDumper):
    kind, oid = "timestamptz", ARRAY_OIDS["timestamptz"]


_DUMPERS: Final = ((Int4s, _Int4sDumper), (Float8s, _Float8sDumper), (Times, _TimesDumper))


def adapt_arrays(context: AdaptContext) -> None:
    """Let queries of a connection take these as parameters."""
    if context.adapters is not None:
        for array, dumper in _DUMPERS:
            context.adapters.register_dumper(array, dumper)
