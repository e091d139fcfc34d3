"""What devices call that which they measure: a closed table from the names they write to readings of ours.

Of zigbee2mqtt attributes and of decoded uplinks alike. A reading is called by what it measures, so that
`schemas.units.kind_of` finds its kind, and `contact` has one polarity everywhere: 1 is closed.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

_STATE: Final = "/"
"""The unit of what is 1 or 0."""
_NO_WORDS: Final[Mapping[str, float]] = MappingProxyType({})
_DOOR: Final = MappingProxyType({"open": 1.0, "close": 0.0, "closed": 0.0})
_ALARM: Final = MappingProxyType({"leak": 1.0, "alarm": 1.0, "normal": 0.0})
_PRESENCE: Final = MappingProxyType({"occupied": 1.0, "trigger": 1.0, "vacant": 0.0, "normal": 0.0, "idle": 0.0})
_FROM_MILLIVOLTS: Final = 600
"""Battery devices tell mV, plugs V, under one name: no mains has so many volts, no battery so few millivolts."""


class Property(NamedTuple):
    """A reading that a device tells: its name, its unit in SenML, empty where makers disagree about it.

    The value of the reading is that told * factor + offset. `words` are the numbers that words stand for.
    """

    name: str
    unit: str = _STATE
    factor: float = 1.0
    offset: float = 0.0
    words: Mapping[str, float] = _NO_WORDS

    @property
    def is_turned(self) -> bool:
        """Tell whether 1 means the opposite of what the device calls it: then its own name would mislead."""
        return self.factor < 0

    def value(self, told: object) -> float | None:
        """Give the value in `unit`; None for what can be none: another word, or true where a number is expected.

        What is no finite number stays what it is, for the bounds to reject.
        """
        match told:
            case bool() if self.unit != _STATE:
                return None
            case bool() | int() | float():
                number = _to_float(told)
            case str() if told.lower() in self.words:
                number = self.words[told.lower()]
            case _:
                return None
        if self.unit == "V" and abs(number) >= _FROM_MILLIVOLTS:
            number /= 1000
        return number * self.factor + self.offset


def _open_is_1(name: str) -> Property:
    """Give what tells 1, or `open`, for open: turned."""
    return Property(name, factor=-1.0, offset=1.0, words=_DOOR)


PROPERTIES: Final[Mapping[str, Property]] = MappingProxyType(
    {
        "temperature": Property("temperature", "Cel"),
        "local_temperature": Property("temperature", "Cel"),
        "device_temperature": Property("device_temperature", "Cel"),
        "humidity": Property("humidity", "%RH"),
        "soil_moisture": Property("soil_moisture", "/100"),
        "pressure": Property("pressure", "hPa"),
        "illuminance_lux": Property("illuminance", "lx"),
        "illuminance": Property("illuminance", "lx"),
        "noise": Property("noise", "dB"),
        "co2": Property("co2", "ppm"),
        "co": Property("co", "ppm"),
        "pm1": Property("pm1", "ug/m3"),
        "pm25": Property("pm25", "ug/m3"),
        "pm10": Property("pm10", "ug/m3"),
        "voc": Property("voc", ""),
        "tvoc": Property("voc", ""),
        "voc_index": Property("voc_index", ""),
        "formaldehyd": Property("formaldehyd", ""),
        "hcho": Property("formaldehyd", ""),
        "battery": Property("battery", "%EL"),
        "battery_low": Property("battery_low"),
        "voltage": Property("voltage", "V"),
        "battery_voltage": Property("voltage", "V"),
        "power": Property("power", "W"),
        "apparent_power": Property("apparent_power", "VA"),
        "reactive_power": Property("reactive_power", "var"),
        "power_factor": Property("power_factor"),
        "current": Property("current", "A"),
        "energy": Property("energy", "kWh"),
        "consumption": Property("energy", "kWh"),
        "produced_energy": Property("produced_energy", "kWh"),
        "ac_frequency": Property("ac_frequency", "Hz"),
        "presence": Property("motion", words=_PRESENCE),
        "occupancy": Property("motion", words=_PRESENCE),
        "pir": Property("motion", words=_PRESENCE),
        "motion": Property("motion", words=_PRESENCE),
        "vibration": Property("vibration"),
        "contact": Property("contact", words=MappingProxyType({"open": 0.0, "close": 1.0, "closed": 1.0})),
        "magnet_status": _open_is_1("contact"),
        "door": _open_is_1("contact"),
        "water_leak": Property("leak", words=_ALARM),
        "leak": Property("leak", words=_ALARM),
        "smoke": Property("smoke", words=_ALARM),
        "gas": Property("gas", words=_ALARM),
        "carbon_monoxide": Property("carbon_monoxide", words=_ALARM),
        "tamper": Property("tamper"),
        # Codecs of LoRaWAN devices, as Dragino, Milesight and Elsys write them.
        "BatV": Property("voltage", "V"),
        "Bat_V": Property("voltage", "V"),
        "BAT_V": Property("voltage", "V"),
        "vdd": Property("voltage", "V"),
        "TempC_SHT": Property("temperature", "Cel"),
        "TempC_DS": Property("probe_temperature", "Cel"),
        "temp_DS18B20": Property("probe_temperature", "Cel"),
        "externalTemperature": Property("probe_temperature", "Cel"),
        "temp_SOIL": Property("soil_temperature", "Cel"),
        "Hum_SHT": Property("humidity", "%RH"),
        "water_SOIL": Property("soil_moisture", "/100"),
        "water_SOIL_f": Property("soil_moisture", "/100"),
        "conduct_SOIL": Property("soil_conductivity", "S/m", factor=1e-4),  # told in uS/cm
        "light": Property("illuminance", "lx"),
        "DOOR_OPEN_STATUS": _open_is_1("contact"),
        "WATER_LEAK_STATUS": Property("leak"),
        "leakage_status": Property("leak", words=_ALARM),
    }
)
"""By the name that a device writes; of several that mean one reading the first is the best."""


def properties_of(attributes: Mapping[str, object]) -> dict[str, Property]:
    """Give what a device's attributes measure, by their names: those of the table, each reading but once.

    An alias (`consumption` beside `energy`, a raw `illuminance` beside `illuminance_lux`) is left out, and so is what
    tells nothing, null.
    """
    told = [(name, found) for name, found in PROPERTIES.items() if attributes.get(name) is not None]
    best = {found.name: name for name, found in reversed(told)}
    return {name: found for name, found in told if best[found.name] == name}


def _to_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
