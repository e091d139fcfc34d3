"""A set of whole numbers that mostly follow each other: what is acknowledged of what was sent."""

from collections.abc import Iterable, Iterator


class Ranges:
    """Numbers from 0; those below a growing limit are all in it, and a few beyond."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with these in their order, each from its first to its last number, none of which touch."""
        self._below = 0
        self._beyond: set[int] = set()
        for first, last in ranges:
            if first == 0:
                self._below = last + 1
            else:
                self._beyond.update(range(first, last + 1))

    def __len__(self) -> int:
        """How many are in it."""
        return self._below + len(self._beyond)

    def __contains__(self, number: int) -> bool:
        """Whether a number is in it."""
        return 0 <= number < self._below or number in self._beyond

    def add(self, number: int) -> None:
        """Put a number in."""
        if number != self._below:
            if number > self._below:
                self._beyond.add(number)
            return
        self._below += 1
        while self._below in self._beyond:
            self._beyond.remove(self._below)
            self._below += 1

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Give the ranges in order, each as its first and its last number."""
        if self._below:
            yield 0, self._below - 1
        first: int | None = None
        last = -1
        for number in sorted(self._beyond):
            if first is not None and number > last + 1:
                yield first, last
                first = number
            first = number if first is None else first
            last = number
        if first is not None:
            yield first, last
