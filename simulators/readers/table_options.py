"""What a user writes of a table's columns, checked before anything is read."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from schemas.faults import ConfigurationError
from simulators.readers.records import Sensor
from simulators.readers.table import TRUE, TableFormat

_NEEDED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "counts": frozenset({"time", "name", "free"}),
        "bays": frozenset({"time", "name", "spot", "occupied"}),
        "sensors": frozenset({"time", "sensor", "value"}),
    }
)
_OPTIONAL: Mapping[str, frozenset[str]] = MappingProxyType(
    {"counts": frozenset({"total", "status"}), "bays": frozenset(), "sensors": frozenset({"unit"})}
)
_KNOWN = frozenset().union(*_NEEDED.values(), *_OPTIONAL.values())
_WIDE = "value:"


def table_format(
    columns: Sequence[str],
    *,
    zone: str | None = None,
    time_format: str | None = None,
    delimiter: str = ",",
    true: Sequence[str] = (),
) -> TableFormat:
    r"""Make the format of a table; `columns` are such as `time=Timestamp` or `value:kitchen/temperature:Cel=T1`.

    A `delimiter` of `\t` is a tabulator. Raises ConfigurationError.
    """
    plain: dict[str, str] = {}
    wide: dict[str, Sensor] = {}
    for text in columns:
        field, equals, header = text.partition("=")
        if not equals or not header:
            raise ConfigurationError(f"--column {text}: expected FIELD=HEADER, such as time=Timestamp")
        if field.startswith(_WIDE):
            sensor = _sensor(text, field.removeprefix(_WIDE))
            if header in wide or sensor.name in {one.name for one in wide.values()}:
                raise ConfigurationError(f"--column {text}: the header or the sensor is told twice")
            wide[header] = sensor
        elif field in _KNOWN and field not in plain:
            plain[field] = header
        else:
            known = ", ".join(sorted(_KNOWN))
            what = "is told twice" if field in plain else f"is none of {known} and value:SENSOR:UNIT"
            raise ConfigurationError(f"--column {text}: {field!r} {what}")
    _check_together(set(plain), wide)
    return TableFormat(
        plain, wide, _zone(zone), _time_format(time_format), _delimiter(delimiter), _folded(true) or TRUE
    )


def _check_together(fields: set[str], wide: Mapping[str, Sensor]) -> None:
    if wide:
        if fields != {"time"}:
            raise ConfigurationError("--column: beside value:SENSOR:UNIT=HEADER there has to be time, and nothing else")
        return
    for kind, needed in _NEEDED.items():
        if needed <= fields <= needed | _OPTIONAL[kind]:
            return
    kinds = "; ".join(
        f"{kind}: {', '.join(sorted(needed))}{''.join(f', perhaps {name}' for name in sorted(_OPTIONAL[kind]))}"
        for kind, needed in _NEEDED.items()
    )
    raise ConfigurationError(f"--column: {', '.join(sorted(fields)) or 'nothing'} is no table that is known ({kinds})")


def _sensor(text: str, told: str) -> Sensor:
    name, _, unit = told.rpartition(":") if ":" in told else (told, "", "")
    if not name:
        raise ConfigurationError(f"--column {text}: expected value:SENSOR:UNIT=HEADER")
    return Sensor(name, unit)


def _zone(text: str | None) -> ZoneInfo | None:
    try:
        return None if text is None else ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ConfigurationError(f"--zone: {text!r} is no time zone such as Europe/Paris") from None


def _time_format(text: str | None) -> str | None:
    try:
        if text is not None:
            datetime.strptime(datetime(2000, 1, 1, tzinfo=UTC).strftime(text), text)  # noqa: DTZ007 - only its form matters
    except ValueError as error:
        raise ConfigurationError(f"--time-format: {error}") from None
    return text


def _delimiter(text: str) -> str:
    delimiter = text.replace("\\t", "\t")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ConfigurationError(f"--delimiter: expected one character, or \\t for a tabulator, not {text!r}")
    return delimiter


def _folded(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(value.casefold() for value in values)
