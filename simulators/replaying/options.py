"""What a user writes of a replay, checked before anything is read or connected to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from simulators.readers import CAPTURE, HOME, TABLE, choose
from simulators.readers.table import TableFormat
from simulators.readers.table_options import table_format
from simulators.replaying.plan import Span
from simulators.replaying.player import Pacing
from simulators.replaying.replay import ReplayOptions
from simulators.replaying.rewrite import Rewriting
from simulators.runs.pace import parse_speed

FOREVER = "forever"
_MOST_ROUNDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Written:
    """Options of the command, as they are written."""

    file: Path
    reader: str | None = None
    speed: str = "1"
    shift_to_now: bool = False
    loop: str = "1"
    start: str | None = None
    end: str | None = None
    rewrite: Sequence[str] = ()
    retained: bool = False
    dwelling: str | None = None
    column: Sequence[str] = ()
    zone: str | None = None
    time_format: str | None = None
    delimiter: str | None = None
    true: Sequence[str] = ()


def check_options(registry: Registry, written: Written) -> ReplayOptions:
    """Make options of what a user wrote. Raises ConfigurationError."""
    reader = choose(written.file, written.reader or (TABLE if written.column else None))
    table = _table(reader, written)
    _check_dwelling(registry, reader, table, written.dwelling)
    if written.retained and reader != CAPTURE:
        raise ConfigurationError(f"--retained: only captures have such messages, and this is {reader}")
    return ReplayOptions(
        written.file,
        reader,
        _pacing(written),
        Span(_moment("--start", written.start), _moment("--end", written.end)),
        written.dwelling,
        table,
        _rewriting(written.rewrite),
        written.retained,
    )


def _pacing(written: Written) -> Pacing:
    try:
        speed = parse_speed(written.speed)
    except ValueError as error:
        raise ConfigurationError(f"--speed: {error}") from None
    rounds = _rounds(written.loop)
    if rounds is None and written.shift_to_now and (speed is None or speed > 1):
        raise ConfigurationError(
            "--loop forever: faster than at its own pace, shifted times would run ahead of the clock for ever; say how "
            "often, or leave out --shift-to-now"
        )
    return Pacing(speed, rounds, written.shift_to_now)


def _rounds(text: str) -> int | None:
    if text == FOREVER:
        return None
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST_ROUNDS:
        return int(text)
    raise ConfigurationError(f"--loop: expected how often, 1 to {_MOST_ROUNDS}, or {FOREVER}")


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{option}: expected a time such as 2023-01-13T06:00:00+01:00") from None
    if moment.tzinfo is None:
        raise ConfigurationError(f"{option}: expected an offset such as Z or +01:00")
    return moment


def _rewriting(rules: Sequence[str]) -> Rewriting | None:
    try:
        return Rewriting(rules) if rules else None
    except ValueError as error:
        raise ConfigurationError(f"--rewrite: {error}") from None


def _table(reader: str, written: Written) -> TableFormat | None:
    asked = {
        "--column": bool(written.column),
        "--zone": written.zone is not None,
        "--time-format": written.time_format is not None,
        "--delimiter": written.delimiter is not None,
        "--true": bool(written.true),
    }
    if reader == TABLE:
        return table_format(
            written.column,
            zone=written.zone,
            time_format=written.time_format,
            delimiter="," if written.delimiter is None else written.delimiter,
            true=written.true,
        )
    if wrong := [option for option, is_told in asked.items() if is_told]:
        raise ConfigurationError(f"{wrong[0]}: only the reader {TABLE} takes it, and this is {reader}")
    return None


def _check_dwelling(registry: Registry, reader: str, table: TableFormat | None, dwelling: str | None) -> None:
    if reader != HOME and not (table is not None and table.is_of_a_home):
        if dwelling is not None:
            raise ConfigurationError(f"--dwelling: only what was measured in a home takes it, and this is {reader}")
    elif dwelling is None:
        raise ConfigurationError(f"--dwelling: the reader {reader} needs the id of a dwelling of the registry")
    elif dwelling not in {home.id for home in registry.dwelling}:
        raise ConfigurationError(f"--dwelling: no [[dwelling]] of the registry has the id {dwelling!r}")
