"""Units of measurement and the kinds of sensors in a home: what a unit comes to, and what a kind can measure.

Units are SenML's: primary ones by RFC 8428, section 12.1, secondary ones by RFC 8798. Values are stored in one unit a
sensor, the registry's or the primary one.
"""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Scale(NamedTuple):
    """How a unit becomes its primary one: primary = value * factor + offset."""

    primary: str
    factor: float = 1.0
    offset: float = 0.0


class Kind(NamedTuple):
    """What a sensor measures: its unit where the registry names none, and the bounds of what can be real.

    A value moves by at most `a_minute` in a minute; that of a counter does not fall. `blank` is what a sensor says that
    has not measured; where it is real, the value before it was within `near`.
    """

    unit: str
    minimum: float
    maximum: float
    a_minute: float = math.inf
    is_counter: bool = False
    blank: float = math.inf
    near: float = 0.0

    @property
    def has_limits(self) -> bool:
        """Tell whether a value can be impossible after another."""
        return self.a_minute < math.inf or self.is_counter or self.blank < math.inf


_SECONDARY: Final[dict[str, Scale]] = {
    "K": Scale("Cel", 1.0, -273.15),
    "g": Scale("kg", 1e-3),
    "ms": Scale("s", 1e-3),
    "min": Scale("s", 60.0),
    "h": Scale("s", 3600.0),
    "kHz": Scale("Hz", 1e3),
    "MHz": Scale("Hz", 1e6),
    "kW": Scale("W", 1e3),
    "kVA": Scale("VA", 1e3),
    "kvar": Scale("var", 1e3),
    "Ah": Scale("C", 3600.0),
    "Wh": Scale("J", 3600.0),
    "kWh": Scale("J", 3.6e6),
    "varh": Scale("vars", 3600.0),
    "kvarh": Scale("vars", 3.6e6),
    "kVAh": Scale("VAs", 3.6e6),
    "Wh/km": Scale("J/m", 3.6),
    "KiB": Scale("B", 1024.0),
    "GB": Scale("B", 1e9),
    "Mbit/s": Scale("bit/s", 1e6),
    "B/s": Scale("bit/s", 8.0),
    "MB/s": Scale("bit/s", 8e6),
    "mV": Scale("V", 1e-3),
    "mA": Scale("A", 1e-3),
    "dBm": Scale("dBW", 1.0, -30.0),
    "ug/m3": Scale("kg/m3", 1e-9),
    "mm/h": Scale("m/s", 1 / 3.6e6),
    "m/h": Scale("m/s", 1 / 3600),
    "cm": Scale("m", 1e-2),
    "mm": Scale("m", 1e-3),
    "km": Scale("m", 1e3),
    "km/h": Scale("m/s", 1 / 3.6),
    "l": Scale("m3", 1e-3),
    "l/s": Scale("m3/s", 1e-3),
    "hPa": Scale("Pa", 100.0),
    "ppm": Scale("/", 1e-6),
    "/100": Scale("/", 1e-2),
    "/1000": Scale("/", 1e-3),
    # "%" is a ratio for historical reasons; only %RH and %EL go to a hundred.
    "%": Scale("/"),
    "1/min": Scale("1/s", 1 / 60),
}
_LONGEST: Final = 32

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        # A DS18B20 says 85 after power-up until it has measured.
        "temperature": Kind("Cel", -60, 150, a_minute=30, blank=85.0, near=10),
        "humidity": Kind("%RH", 0, 100),
        "co2": Kind("ppm", 0, 40_000),
        "illuminance": Kind("lx", 0, 200_000),
        "pressure": Kind("Pa", 30_000, 110_000, a_minute=2_000),
        "motion": Kind("/", 0, 1),
        "contact": Kind("/", 0, 1),
        "leak": Kind("/", 0, 1),
        "bed": Kind("/", 0, 1),
        "floor_pressure": Kind("Pa", 0, 1e7),
        "noise": Kind("dB", 0, 194),
        "power": Kind("W", -1e5, 1e5),
        "energy": Kind("J", 0, 1e15, a_minute=6e6, is_counter=True),
        "current": Kind("A", -1e3, 1e3),
        "voltage": Kind("V", -1e3, 1e3),
        "water": Kind("m3", 0, 1e9, a_minute=0.2, is_counter=True),
        "battery": Kind("%EL", 0, 100),
    }
)
"""The kinds that are checked. Another kind is stored unchecked."""

OTHER: Final = "other"
_BY_UNIT: Final = {
    KINDS[name].unit: name
    for name in (
        *("temperature", "humidity", "illuminance", "pressure", "power", "energy", "current", "voltage", "water"),
        "battery",
    )
}


def scale(unit: str) -> Scale:
    """Give what a unit comes to; one that is not known is its own primary unit."""
    return _SECONDARY.get(unit) or Scale(unit)


def conversion(unit: str, into: str) -> tuple[float, float]:
    """Give factor and offset between units of one primary unit: value in `into` = value * factor + offset.

    Raises ValueError for others.
    """
    there, back = scale(unit), scale(into)
    if there.primary != back.primary:
        raise ValueError(f"{unit} is no {into}")
    return there.factor / back.factor, (there.offset - back.offset) / back.factor


def kind_of(name: str, primary: str) -> tuple[str, str]:
    """Guess what a sensor that nobody listed measures: give its kind, and the unit to store its values in.

    By the last part of its name where that is a kind of this dimension, else by the unit alone.
    """
    last = re.split(r"[/:.]", name)[-1].lower()
    if last in KINDS:
        unit = KINDS[last].unit
        if scale(unit).primary == primary:
            return last, unit
        if not primary and scale(unit).primary == "/":
            return last, ""
    return _BY_UNIT.get(primary, OTHER), primary


def is_unit(text: str) -> bool:
    """Tell whether something may be a unit at all: short, printable ASCII, no blanks."""
    return 0 < len(text) <= _LONGEST and text.isascii() and text.isprintable() and " " not in text
