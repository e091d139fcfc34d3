"""SenML records resolved (RFC 8428, section 4.6), many packs at a time: columns, no Python object a reading.

What is wrong with a record is a fault of that record, and of those that a faulty base field holds for.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, compress, repeat
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processors.senml import BASE_LABELS, Record
from schemas.reasons import Reason

Texts = list[str | None] | None

RELATIVE_BELOW: Final = 2**28
"""Seconds: a smaller time is relative to now (section 4.5.3)."""
_VALUE_LABELS: Final = ("v", "vs", "vb", "vd")
_NUMBERS: Final = frozenset({int, float, Decimal})
_LATEST_SECONDS: Final = 2.0**40
"""Beyond any acceptance window, and still an int64 in microseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """The records of several packs, one after the other; arrays of shape (n,).

    `seconds` is t' = bt + t, and `is_relative` tells that it counts from now; `value` is v' = bv + v, or 1 and 0 for
    booleans, in the unit told. Names and units are columns, the base in force and the record's own, each None where
    absent, or no column at all where no record has one. `faults` gives reason and detail by index. A record is
    `is_stored` if it has a number to store, `is_carrier` if it only carries base fields; the rest is refused, or
    faulty.
    """

    pack: NDArray[np.int64]
    record: NDArray[np.int64]
    seconds: NDArray[np.float64]
    is_relative: NDArray[np.bool_]
    value: NDArray[np.float64]
    is_stored: NDArray[np.bool_]
    is_carrier: NDArray[np.bool_]
    faults: Mapping[int, tuple[Reason, str]]
    base_names: Texts
    names: Texts
    base_units: Texts
    units: Texts


def resolve(packs: Sequence[Sequence[Record]]) -> Resolved:
    """Fold base fields into the records of every pack."""
    return _Resolver(packs).resolve()


class _Resolver:
    """Works on all records of a batch at once, a column at a time; labels that do not occur cost nothing."""

    def __init__(self, packs: Sequence[Sequence[Record]]) -> None:
        sizes = np.fromiter(map(len, packs), dtype=np.int64, count=len(packs))
        self._records: list[Record] = list(chain.from_iterable(packs))
        self._size = len(self._records)
        self._pack = np.repeat(np.arange(len(packs)), sizes)
        self._starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
        self._labels: Collection[str] = set().union(*self._records)
        self._columns: dict[str, tuple[NDArray[np.int64], list[Any]]] = {}
        self._faults: dict[int, tuple[Reason, str]] = {}
        self._broken: list[tuple[str, int]] = []

    def resolve(self) -> Resolved:
        own = [self._has(label) for label in _VALUE_LABELS]
        has_v, has_vs, has_vb, has_vd = own
        values = np.add.reduce(own, dtype=np.int64)
        seconds = self._sums("t", "bt")
        value = self._sums("v", "bv")
        self._set_booleans(value, np.flatnonzero(has_vb))
        is_carrier = self._find_carriers((values == 0) & ~self._has("s"))
        is_number = (has_v | has_vb | self._is_under("bv")) & ~has_vs & ~has_vd & ~is_carrier
        is_excused = is_number | is_carrier | self._has("s") | self._is_under("bs")
        self._check_values(values, is_excused, {"vs": has_vs, "vd": has_vd})
        names, units = self._texts("n"), self._texts("u")
        base_names, base_units = self._base_texts("bn"), self._base_texts("bu")
        self._spread_faults()
        good = np.ones(self._size, dtype=bool)
        good[list(self._faults)] = False
        return Resolved(
            pack=self._pack,
            record=np.arange(self._size) - self._starts,
            seconds=seconds,
            is_relative=seconds < RELATIVE_BELOW,
            value=value,
            is_stored=is_number & good,
            is_carrier=is_carrier & good,
            faults=self._faults,
            base_names=base_names,
            names=names,
            base_units=base_units,
            units=units,
        )

    def _set_booleans(self, value: NDArray[np.float64], indexes: NDArray[np.int64]) -> None:
        for index in indexes.tolist():
            told = self._records[index]["vb"]
            if type(told) is bool:
                value[index] = told
            else:
                self._fault(index, "vb: expected true or false")

    def _check_values(
        self, values: NDArray[np.int64], is_excused: NDArray[np.bool_], strings: Mapping[str, NDArray[np.bool_]]
    ) -> None:
        for index in np.flatnonzero(values > 1).tolist():
            self._fault(index, "expected one of v, vs, vb, vd, not several")
        for index in np.flatnonzero((values == 0) & ~is_excused).tolist():
            self._fault(index, "expected one of v, vs, vb, vd")
        for label, has in strings.items():
            for index in np.flatnonzero(has).tolist():
                if not isinstance(self._records[index][label], str | bytes):
                    self._fault(index, f"{label}: expected a string")

    def _find_carriers(self, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell records of base fields only."""
        for index in np.flatnonzero(candidates).tolist():
            candidates[index] = all(isinstance(label, str) and label[:1] == "b" for label in self._records[index])
        return candidates

    def _column(self, label: str) -> tuple[NDArray[np.int64], list[Any]]:
        """Give the indexes of the records with a label that occurs, and what each says under it."""
        if label not in self._columns:
            get = itemgetter(label)
            try:
                found = (np.arange(self._size), list(map(get, self._records)))
            except KeyError:
                has = map(dict.__contains__, self._records, repeat(label))
                holders = list(compress(range(self._size), has))
                found = (np.array(holders), [get(self._records[index]) for index in holders])
            self._columns[label] = found
        return self._columns[label]

    def _has(self, label: str) -> NDArray[np.bool_]:
        has = np.zeros(self._size, dtype=bool)
        if label in self._labels:
            has[self._column(label)[0]] = True
        return has

    def _in_force(self, label: str) -> NDArray[np.int64]:
        """Give for every record the place, among those with a base label, of the one in force; -1 for none."""
        holders, _ = self._column(label)
        place = np.searchsorted(holders, np.arange(self._size), side="right") - 1
        return np.where((place >= 0) & (holders[place] >= self._starts), place, -1)

    def _is_under(self, base_label: str) -> NDArray[np.bool_]:
        if base_label not in self._labels:
            return np.zeros(self._size, dtype=bool)
        under: NDArray[np.bool_] = self._in_force(base_label) >= 0
        return under

    def _sums(self, label: str, base_label: str) -> NDArray[np.float64]:
        """Give own + base, either taken for 0 where absent."""
        sums = np.zeros(self._size)
        if label in self._labels:
            sums[self._column(label)[0]] = self._numbers(label)
        if base_label in self._labels:
            base, place = self._numbers(base_label), self._in_force(base_label)
            with np.errstate(over="ignore"):  # both are finite; what they come to is judged with the value
                sums += np.where(place >= 0, base[place], 0.0)
        return sums

    def _numbers(self, label: str) -> NDArray[np.float64]:
        """Give the numbers under a label, of the records that have it; 0 where faulty."""
        holders, column = self._column(label)
        if not set(map(type, column)) <= {int, float}:
            column = [self._number(index, label, told) for index, told in zip(holders.tolist(), column, strict=True)]
        try:
            numbers = np.array(column, dtype=np.float64)
        except OverflowError:
            column = [self._number(index, label, told) for index, told in zip(holders.tolist(), column, strict=True)]
            numbers = np.array(column, dtype=np.float64)
        for place in np.flatnonzero(~np.isfinite(numbers)).tolist():
            fault = f"{label}: expected a finite number"
            self._fault(int(holders[place]), fault, Reason.VALUE_OUT_OF_RANGE, label=label)
            numbers[place] = 0
        return numbers

    def _number(self, index: int, label: str, told: object) -> float:
        if type(told) not in _NUMBERS:
            self._fault(index, f"{label}: expected a number", label=label)
            return 0.0
        try:
            return float(told)  # type: ignore[arg-type] # one of _NUMBERS
        except OverflowError:
            return float("inf")

    def _texts(self, label: str) -> Texts:
        """Give a column of strings, None where absent or faulty; no column where the label does not occur."""
        if label not in self._labels:
            return None
        holders, told = self._column(label)
        for place in [] if set(map(type, told)) <= {str} else range(len(told)):
            if not isinstance(told[place], str):
                self._fault(int(holders[place]), f"{label}: expected a string", label=label)
                told[place] = None
        if len(told) == self._size:
            return told
        column: list[str | None] = [None] * self._size
        for index, text in zip(holders.tolist(), told, strict=True):
            column[index] = text
        return column

    def _base_texts(self, label: str) -> Texts:
        """Give the string in force for every record."""
        own = self._texts(label)
        if own is None:
            return None
        holders = self._column(label)[0].tolist()
        return [own[holders[place]] if place >= 0 else None for place in self._in_force(label).tolist()]

    def _fault(
        self, index: int, detail: str, reason: Reason = Reason.SCHEMA_VIOLATION, *, label: str | None = None
    ) -> None:
        self._faults.setdefault(index, (reason, detail))
        if label in BASE_LABELS:
            self._broken.append((label, index))

    def _spread_faults(self) -> None:
        """Let every record that a faulty base field holds for share its fault."""
        broken = tuple(self._broken)
        for label in dict.fromkeys(label for label, _ in broken):
            holders, place = self._column(label)[0], self._in_force(label)
            is_broken = np.isin(holders, [index for of, index in broken if of == label])
            for other in np.flatnonzero((place >= 0) & is_broken[place]).tolist():
                self._fault(other, f"{label} in force is faulty")


def to_micros(resolved: Resolved, received_at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give absolute times in microseconds since 1970, of records whose packs arrived at `received_at`, shape (n,)."""
    seconds = np.clip(resolved.seconds, -_LATEST_SECONDS, _LATEST_SECONDS)
    whole = np.floor(seconds)
    # Apart: the product of a float of today and a million has no room for its last digits.
    micros = whole.astype(np.int64) * 1_000_000 + np.rint((seconds - whole) * 1e6).astype(np.int64)
    return np.where(resolved.is_relative, received_at + micros, micros)
