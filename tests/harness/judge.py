"""The judge: what the database and the broker hold, compared."""

from collections.abc import Callable
from typing import Any

from harness.clients import retained
from harness.waiting import eventually

_FIGURE = ("free", "occupied", "unknown", "capacity", "status", "stale", "quality", "revision")
_SUMMED = ("free", "occupied", "unknown", "capacity")


async def ledger(ask: Callable[..., Any]) -> dict[str, int]:
    """Sum up the ledger."""
    columns = ("messages", "readings", "stored", "duplicate", "dead_lettered", "refused")
    sums = ", ".join(f"coalesce(sum({column}), 0)" for column in columns)
    rows = await ask(f"SELECT {sums} FROM ledger")
    return dict(zip(columns, map(int, rows[0]), strict=True))


async def assert_figures(url: str, ask: Callable[..., Any]) -> None:
    """Wait until every retained figure equals its row, and check that figures and city add up."""

    async def differences() -> list[object]:
        rows = await ask(
            f"SELECT code, {', '.join(f'a.{name}' for name in _FIGURE)} FROM availability a "
            "JOIN car_park c ON c.id = car_park_id"
        )
        figures = await retained(url, "city/live/#")
        wanted = {f"city/live/parking/{code}": row for code, *row in rows}
        seen = {topic: [figure[name] for name in _FIGURE] for topic, figure in figures.items() if topic in wanted}
        city = figures.get("city/live/parking", {})
        sums = [sum(figures[topic][name] for topic in seen) for name in _SUMMED]
        unlike: list[object] = [
            (topic, row, seen.get(topic)) for topic, row in wanted.items() if seen.get(topic) != row
        ]
        unlike += [] if [city.get(name) for name in _SUMMED] == sums else [("city", sums, city)]
        unlike += [figure for figure in seen.values() if figure[0] + figure[1] + figure[2] != figure[3]]
        return unlike

    await eventually(differences, lambda unlike: not unlike)
