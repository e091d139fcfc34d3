"""Units and kinds: what RFC 8798 says a unit comes to, and what a kind can be."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import units
from schemas.units import KINDS, Scale, conversion, is_unit, kind_of, scale

RFC_8798 = {
    "ms": ("s", 1e-3, 0),
    "min": ("s", 60, 0),
    "h": ("s", 3600, 0),
    "MHz": ("Hz", 1e6, 0),
    "kW": ("W", 1e3, 0),
    "kVA": ("VA", 1e3, 0),
    "kvar": ("var", 1e3, 0),
    "Ah": ("C", 3600, 0),
    "Wh": ("J", 3600, 0),
    "kWh": ("J", 3.6e6, 0),
    "varh": ("vars", 3600, 0),
    "kvarh": ("vars", 3.6e6, 0),
    "kVAh": ("VAs", 3.6e6, 0),
    "Wh/km": ("J/m", 3.6, 0),
    "KiB": ("B", 1024, 0),
    "GB": ("B", 1e9, 0),
    "Mbit/s": ("bit/s", 1e6, 0),
    "B/s": ("bit/s", 8, 0),
    "MB/s": ("bit/s", 8e6, 0),
    "mV": ("V", 1e-3, 0),
    "mA": ("A", 1e-3, 0),
    "dBm": ("dBW", 1, -30),
    "ug/m3": ("kg/m3", 1e-9, 0),
    "mm/h": ("m/s", 1 / 3600e3, 0),
    "m/h": ("m/s", 1 / 3600, 0),
    "ppm": ("/", 1e-6, 0),
    "/100": ("/", 1e-2, 0),
    "/1000": ("/", 1e-3, 0),
    "hPa": ("Pa", 100, 0),
    "mm": ("m", 1e-3, 0),
    "cm": ("m", 1e-2, 0),
    "km": ("m", 1e3, 0),
    "km/h": ("m/s", 1 / 3.6, 0),
}
"""Its table of secondary units: primary unit, scale, offset."""
PRIMARY = [
    *("m", "kg", "s", "A", "cd", "mol", "Hz", "rad", "sr", "N", "Pa", "J", "W", "C", "V", "F", "Ohm"),
    *("S", "Wb", "T", "H", "Cel", "lm", "lx", "Bq", "Gy", "Sv", "kat", "m2", "m3", "m/s", "m/s2", "m3/s"),
    *("W/m2", "cd/m2", "bit", "bit/s", "lat", "lon", "pH", "dB", "dBW", "count", "/", "%RH", "%EL", "EL"),
    *("1/s", "beat/min", "beats", "S/m", "B", "VA", "VAs", "var", "vars", "J/m", "kg/m3"),
]
"""Those of RFC 8428 that a sender should use, and of RFC 8798."""
CONVERTED = ["K", "g", "l", "l/s", "%", "1/min"]
"""Units of RFC 8428 that mean the same as another of its units, times a number."""
SCALED = st.sampled_from([*RFC_8798, *CONVERTED, "Cel", "J", "/"])


@pytest.mark.parametrize(("unit", "told"), RFC_8798.items())
def test_secondary_units_are_those_of_the_rfc(unit: str, told: tuple[str, float, float]) -> None:
    """Scale and offset lead to the primary unit."""
    assert scale(unit).primary == told[0]
    assert scale(unit)[1:] == pytest.approx(told[1:])


@pytest.mark.parametrize("unit", PRIMARY)
def test_primary_units_stay_what_they_are(unit: str) -> None:
    """What SenML wants told is stored as told."""
    assert scale(unit) == Scale(unit)
    assert is_unit(unit)


@pytest.mark.parametrize("unit", ["", "bar", "degF", "furlong", "kwh", "CEL"])
def test_an_unknown_unit_is_its_own(unit: str) -> None:
    """It is kept, and converted into nothing."""
    assert scale(unit) == Scale(unit)


@pytest.mark.parametrize(
    ("told", "unit", "value", "into"),
    [
        (0, "Cel", 273.15, "K"),
        (293.15, "K", 20, "Cel"),
        (1, "kWh", 3.6e6, "J"),
        (1, "kWh", 1000, "Wh"),
        (30, "dBm", 0, "dBW"),
        (50, "/100", 0.5, "%"),
        (1500, "g", 1.5, "kg"),
        (60, "1/min", 1, "1/s"),
        (400, "ppm", 0.4, "/1000"),
    ],
)
def test_a_value_is_converted(told: float, unit: str, value: float, into: str) -> None:
    """By way of the primary unit."""
    factor, offset = conversion(unit, into)
    assert told * factor + offset == pytest.approx(value)


@given(SCALED, SCALED, st.floats(-1e6, 1e6))
def test_a_conversion_leads_back(unit: str, other: str, value: float) -> None:
    """There and back is the same value, and what cannot be converted says so."""
    if scale(unit).primary != scale(other).primary:
        with pytest.raises(ValueError, match=r"is no"):
            conversion(unit, other)
        return
    (there, there_offset), (back, back_offset) = conversion(unit, other), conversion(other, unit)
    assert (value * there + there_offset) * back + back_offset == pytest.approx(value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("unit", [*PRIMARY, *RFC_8798, *CONVERTED])
def test_a_unit_is_itself(unit: str) -> None:
    """Without a conversion a value stays as it is, to the last digit."""
    assert conversion(unit, unit) == (1, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_a_unit_and_bounds(kind: str) -> None:
    """What is checked can be checked."""
    found = KINDS[kind]
    assert is_unit(found.unit)
    assert math.isfinite(found.minimum)
    assert math.isfinite(found.maximum)
    assert found.minimum < found.maximum
    assert found.a_minute > 0


@pytest.mark.parametrize(
    ("name", "primary", "kind", "unit"),
    [
        ("a", "Cel", "temperature", "Cel"),
        ("kitchen/temperature", "Cel", "temperature", "Cel"),
        ("kitchen/temperature", "V", "voltage", "V"),
        ("a", "%RH", "humidity", "%RH"),
        ("a", "J", "energy", "J"),
        ("a", "m3", "water", "m3"),
        ("a", "Pa", "pressure", "Pa"),
        ("bed-side/floor_pressure", "Pa", "floor_pressure", "Pa"),
        ("a", "/", "other", "/"),
        ("hall/co2", "/", "co2", "ppm"),
        ("hall.CO2", "/", "co2", "ppm"),
        ("door:contact", "", "contact", ""),
        ("door/contact", "/", "contact", "/"),
        ("contact/door", "", "other", ""),
        ("kitchen/temperature", "", "other", ""),
        ("a", "", "other", ""),
        ("a", "furlong", "other", "furlong"),
    ],
)
def test_a_kind_is_guessed(name: str, primary: str, kind: str, unit: str) -> None:
    """By the last part of a name where its dimension agrees, else by the unit; what is neither is another."""
    assert kind_of(name, primary) == (kind, unit)


@given(st.sampled_from([*KINDS, "x"]), st.sampled_from([*PRIMARY, ""]))
def test_what_is_guessed_can_be_stored(name: str, primary: str) -> None:
    """A guessed unit is of the dimension told, so that every value of it converts."""
    kind, unit = kind_of(name, primary)
    assert scale(unit).primary == primary if unit else not primary
    assert kind in {*KINDS, units.OTHER}


@pytest.mark.parametrize("text", ["Cel", "%RH", "/", "m/s2", "x" * 32, "!"])
def test_a_unit_is_short_printable_text(text: str) -> None:
    """Any such text may be one."""
    assert is_unit(text)


@pytest.mark.parametrize("text", ["", " ", "a b", "°C", "µg", "a\n", "\x00", "\x7f", "x" * 33])
def test_other_text_is_no_unit(text: str) -> None:
    """Nothing that hides, breaks a line or never ends."""
    assert not is_unit(text)
