"""The binary COPY format against a small reader of it."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.columns import to_int4
from processors.pgcopy import Column, Kind, encode
from processors.times import EPOCH
from schemas.payloads import INT32_MAX, INT32_MIN

FORMATS = {"bool": ">?", "int4": ">i", "int8": ">q", "float8": ">d", "timestamptz": ">q"}
SINCE_2000 = 946_684_800_000_000
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def read_copy(body: bytes, kinds: list[Kind]) -> list[tuple[Any, ...]]:
    """Read the binary COPY format as PostgreSQL documents it, refusing whatever does not fit."""
    assert body[:11] == b"PGCOPY\n\xff\r\n\0"
    flags, extension = struct.unpack_from(">iI", body, 11)
    assert (flags, extension) == (0, 0)
    rows: list[tuple[Any, ...]] = []
    position = 19
    while True:
        (fields,) = struct.unpack_from(">h", body, position)
        position += 2
        if fields == -1:
            assert position == len(body)
            return rows
        assert fields == len(kinds)
        row = []
        for kind in kinds:
            (length,) = struct.unpack_from(">i", body, position)
            field = body[position + 4 : position + 4 + length]
            assert len(field) == length
            position += 4 + length
            row.append(read_field(field, kind))
        rows.append(tuple(row))


def read_field(field: bytes, kind: Kind) -> Any:  # noqa: ANN401 - whatever the column holds
    """Read a field as the server's receive function of its type does."""
    if kind == "text":
        return field.decode()
    assert len(field) == struct.calcsize(FORMATS[kind])
    (value,) = struct.unpack(FORMATS[kind], field)
    return value + SINCE_2000 if kind == "timestamptz" else value


def roundtrip(*columns: Column) -> list[tuple[Any, ...]]:
    """Encode columns and read them back."""
    return read_copy(encode(columns), [kind for _, kind, _ in columns])


VALUES: dict[Kind, tuple[st.SearchStrategy[Any], str]] = {
    "bool": (st.booleans(), "?"),
    "int4": (st.integers(INT32_MIN, INT32_MAX), "i8"),
    "int8": (st.integers(INT64_MIN, INT64_MAX), "i8"),
    "float8": (st.floats(allow_nan=False), "f8"),
    "timestamptz": (st.integers(-(2**61), 2**61), "i8"),
    "text": (st.sampled_from(["", "open", "full", "closed", "é"]), "S6"),
}


@st.composite
def tables(draw: st.DrawFn, kinds: st.SearchStrategy[Kind]) -> tuple[list[Column], list[tuple[Any, ...]]]:
    """Draw columns, at most one of them text, and the rows they make."""
    chosen = draw(st.lists(kinds, min_size=1, max_size=5).filter(lambda some: some.count("text") <= 1))
    rows = draw(st.lists(st.tuples(*(VALUES[kind][0] for kind in chosen)), max_size=8))
    columns: list[Column] = []
    for index, kind in enumerate(chosen):
        cells = [row[index].encode() if kind == "text" else row[index] for row in rows]
        columns.append((f"column{index}", kind, np.array(cells, dtype=VALUES[kind][1])))
    return columns, rows


@given(tables(st.sampled_from(["bool", "int4", "int8", "float8", "timestamptz"])))
def test_rows_without_text_come_back_in_order(table: tuple[list[Column], list[tuple[Any, ...]]]) -> None:
    """Every value of every type reaches the server as it is, in the order given."""
    columns, rows = table
    assert roundtrip(*columns) == rows


@given(tables(st.sampled_from(["int4", "text", "timestamptz"])))
def test_rows_with_text_come_back_whatever_their_length(table: tuple[list[Column], list[tuple[Any, ...]]]) -> None:
    """Grouping by length of the text changes the order of rows, never what stands in one row."""
    columns, rows = table
    assert sorted(roundtrip(*columns)) == sorted(rows)


def test_empty_text_is_a_text_of_no_length() -> None:
    """An empty text is not NULL, and stands beside other texts."""
    numbers, texts = np.array([1, 2, 3]), np.array([b"closed", b"", b"open"])
    assert roundtrip(("n", "int4", numbers), ("t", "text", texts)) == [(2, ""), (3, "open"), (1, "closed")]
    assert roundtrip(("t", "text", np.array([b"", b""], dtype="S6"))) == [("",), ("",)]


@pytest.mark.parametrize("columns", [["int4"], ["text"], ["int4", "text"]])
def test_no_rows_are_a_header_and_a_trailer(columns: list[Kind]) -> None:
    """An empty table is a well-formed body."""
    empty: list[Column] = [("x", kind, np.array([], dtype="S6" if kind == "text" else "i8")) for kind in columns]
    assert roundtrip(*empty) == []


@pytest.mark.parametrize("micros", [0, -1, SINCE_2000 - 1, SINCE_2000, -62_135_596_800_000_000, 1_795_298_400_123_456])
def test_a_time_counts_from_2000_on_the_wire(micros: int) -> None:
    """Moments before 2000, before 1970 and far back keep every microsecond."""
    body = encode([("time", "timestamptz", np.array([micros]))])
    (wire,) = struct.unpack(">q", body[-10:-2])
    assert wire == micros - SINCE_2000
    assert EPOCH.timestamp() == 0


def test_numbers_that_are_none_are_written_as_such() -> None:
    """NaN, infinity and minus zero reach a float column as they are."""
    values = [float("nan"), float("inf"), float("-inf"), -0.0]
    cells = [row[0] for row in roundtrip(("x", "float8", np.array(values)))]
    assert [struct.pack(">d", cell) for cell in cells] == [struct.pack(">d", value) for value in values]


@pytest.mark.parametrize("value", [INT32_MIN - 1, INT32_MAX + 1, INT64_MIN, INT64_MAX])
def test_an_integer_that_does_not_fit_is_an_error_naming_the_column(value: int) -> None:
    """Both numpy and the server would truncate it without a word."""
    with pytest.raises(OverflowError, match=r"^free: "):
        encode([("free", "int4", np.array([0, value]))])
    with pytest.raises(OverflowError, match=r"^free: "):
        encode([("status", "text", np.array([b"", b"open"])), ("free", "int4", np.array([0, value]))])


@given(st.lists(st.integers(INT64_MIN, INT64_MAX), max_size=5))
def test_narrowing_keeps_values_or_raises(values: list[int]) -> None:
    """A column either fits 32 bits as a whole or not at all."""
    column = np.array(values, dtype=np.int64)
    if all(INT32_MIN <= value <= INT32_MAX for value in values):
        assert to_int4(column, "x").tolist() == values
        assert to_int4(column, "x").dtype == np.int32
    else:
        with pytest.raises(OverflowError, match=r"^x: "):
            to_int4(column, "x")


def test_encoding_leaves_the_columns_as_they_are() -> None:
    """What was encoded can be encoded again, after a failed try for instance."""
    times = np.array([0, 1])
    first = encode([("time", "timestamptz", times)])
    assert times.tolist() == [0, 1]
    assert encode([("time", "timestamptz", times)]) == first
