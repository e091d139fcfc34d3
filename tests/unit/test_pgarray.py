"""PostgreSQL's binary arrays against the driver's own reading and writing of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import Format

from processors.pgarray import ARRAY_OIDS, Kind, decode, encode
from schemas.payloads import INT32_MAX, INT32_MIN

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VALUES: dict[Kind, tuple[st.SearchStrategy[Any], str]] = {
    "int4": (st.integers(INT32_MIN, INT32_MAX), "i8"),
    "float8": (st.floats(allow_nan=False), "f8"),
    "timestamptz": (st.integers(-(2**55), 2**56), "i8"),
}


@st.composite
def columns(draw: st.DrawFn) -> tuple[Kind, list[Any]]:
    """Draw a kind, and values of it."""
    kind = draw(st.sampled_from(list(VALUES)))
    return kind, draw(st.lists(VALUES[kind][0], max_size=9))


@given(columns())
def test_the_driver_reads_what_is_encoded(column: tuple[Kind, list[Any]]) -> None:
    """Every value of every kind, and an array of none."""
    kind, values = column
    loader = Transformer().get_loader(ARRAY_OIDS[kind], Format.BINARY)
    read = loader.load(encode(np.array(values, VALUES[kind][1]), kind))
    assert read == [EPOCH + timedelta(microseconds=value) if kind == "timestamptz" else value for value in values]


@given(columns().filter(lambda column: bool(column[1])))
def test_what_the_driver_writes_is_decoded(column: tuple[Kind, list[Any]]) -> None:
    """An array that is sent is a column again, in the machine's own order of bytes."""
    kind, values = column
    told = [EPOCH + timedelta(microseconds=value) if kind == "timestamptz" else value for value in values]
    written = Transformer().get_dumper(told, PyFormat.BINARY).upgrade(told, PyFormat.BINARY).dump(told)
    if kind == "int4":  # the driver chooses the least type that will do
        written = encode(np.array(values), kind)
    assert written is not None
    read = decode(bytes(written), kind)
    assert read.tolist() == values
    assert read.dtype.isnative


def test_no_array_is_an_empty_column() -> None:
    """What a query gives of no rows."""
    assert [decode(None, kind).tolist() for kind in VALUES] == [[], [], []]
    assert decode(None, "float8").dtype == np.float64


@pytest.mark.parametrize("value", [INT32_MIN - 1, INT32_MAX + 1])
def test_an_integer_that_does_not_fit_is_an_error(value: int) -> None:
    """It would be another one without a word."""
    with pytest.raises(OverflowError, match="32 bits"):
        encode(np.array([0, value]), "int4")


def test_the_types_are_the_servers() -> None:
    """The numbers of the types are those that the driver knows."""
    known = psycopg.adapters.types
    assert {kind: known[kind].array_oid for kind in VALUES} == ARRAY_OIDS
