"""What an audit found, for people and for programs."""

from collections.abc import Iterator
from typing import Any, Final

from ingest.audit import Audit, Balance
from schemas.topics import Route, Table

_TOO_MUCH_BOOKED: Final = (
    "booked, and neither held nor removed: rows were deleted without a row in `removal`, or the ledger was changed"
)
_TOO_LITTLE_BOOKED: Final = (
    "held or removed, and not booked: rows were written past the service, `removal` has too much, "
    "or the ledger was changed"
)
_MEANING: Final = {
    "readings": "with no outcome, or outcomes without a reading: see the rows of the ledger below",
    "stored": "see the lines of the tables; where those balance, it is booked under a route that fills no table",
}
"""What a difference means where the sign does not tell."""
_ROUTE_CHANGED: Final = "in one of `ledger` and `destination` only: one of them was changed"


def as_text(audit: Audit) -> str:
    """Write the balance, and under each line that differs what that means."""
    lines = [line for balance in audit.balances for line in _lines(balance)]
    if audit.wrong_rows:
        lines += ["rows of the ledger that are wrong in themselves, the first of them:"]
        lines += [f"  {_sum(row)}" for row in audit.wrong_rows]
    return "\n".join(lines)


def as_json(audit: Audit) -> dict[str, Any]:
    """Give every line under its name, and the wrong rows of the ledger under `readings`."""
    found: dict[str, dict[str, Any]] = {
        balance.name: {"ledger": balance.ledger, "tables": balance.tables, **balance.parts}
        for balance in audit.balances
    }
    found["readings"]["wrong_rows"] = [
        {"row": row.name, "readings": row.ledger, **row.parts} for row in audit.wrong_rows
    ]
    return found


def _lines(balance: Balance) -> Iterator[str]:
    indent = "  " if balance.name in set(Table) else ""
    yield f"{_sum(balance, indent)}  {_verdict(balance)}"
    if balance.difference:
        by_sign = _TOO_MUCH_BOOKED if balance.difference > 0 else _TOO_LITTLE_BOOKED
        meaning = _ROUTE_CHANGED if balance.name in set(Route) else _MEANING.get(balance.name, by_sign)
        yield f"{indent}  {abs(balance.difference)} {meaning}"


def _verdict(balance: Balance) -> str:
    if balance.is_right:
        return "balances"
    return f"DIFFERS by {balance.difference:+d}" if balance.difference else "WRONG: a count is below zero"


def _sum(balance: Balance, indent: str = "") -> str:
    parts = " + ".join(f"{name} {count}" for name, count in balance.parts.items())
    return f"{indent + balance.name:18} {balance.ledger:>12} = {parts}"
