"""The table that the fault runs end with."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.rig import Result
from rich.markup import escape
from rich.table import Table

_COLUMNS = ("fault", "messages", "lost", "doubled", "seconds to recover", "result")
_NUMBERS = _COLUMNS[1:5]


@dataclass(frozen=True, slots=True)
class Row:
    """How one run ended: with a result, or with the reason why there is none."""

    name: str
    result: Result | None = None
    reason: str = ""
    is_skipped: bool = False

    @property
    def has_failed(self) -> bool:
        """Something was lost, doubled or altered, did not balance, or did not end."""
        return not self.is_skipped and (self.result is None or not self.result.is_clean)

    def cells(self) -> tuple[str, ...]:
        """Give the texts of the columns."""
        verdict = self.result.verdict if self.result else None
        numbers = (
            (f"{verdict.messages:,}", str(verdict.lost), str(verdict.doubled), f"{self.result.seconds:.1f}")
            if self.result and verdict
            else ("",) * len(_NUMBERS)
        )
        return (self.name, *numbers, self._outcome())

    def _outcome(self) -> str:
        if self.is_skipped:
            return f"[yellow]skipped[/]: {escape(self.reason)}"
        if self.result is None:
            return f"[red]FAILED[/]: {escape(self.reason)}"
        remark = self.result.complaint or self.result.remark
        return ("[green]well[/]" if self.result.is_clean else "[red]FAILED[/]") + (
            f": {escape(remark)}" if remark else ""
        )


def table(rows: Sequence[Row], seed: int) -> Table:
    """Make the table."""
    made = Table(title=f"Fault runs, seed {seed}", title_justify="left")
    for column in _COLUMNS:
        made.add_column(column, justify="right" if column in _NUMBERS else "left", overflow="fold")
    for row in rows:
        made.add_row(*row.cells())
    return made
