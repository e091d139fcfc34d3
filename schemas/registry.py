"""The registry: which car parks and bays exist, read from a TOML file.

A wrong file is refused whole, with every fault named; see docs/registry.md.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.device_names import DevEui, TtsDeviceId, same, same_tts
from schemas.durations import Duration
from schemas.faults import ConfigurationError, fault_lines
from schemas.live import Basis
from schemas.payloads import INT32_MAX
from schemas.topics import LEVEL
from schemas.units import KINDS, is_unit, scale

SpotKind = Literal["standard", "pmr", "delivery", "short_stay", "charging"]

_RANGE = re.compile(r"(?P<head>.*?)(?P<first>\d+)\.\.(?P<again>.*?)(?P<last>\d+)", re.ASCII)
SENML_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]*")
"""What RFC 8428, section 4.5.1, lets a resolved name be."""
SENSOR_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
"""What a sensor may be called: people give names to the devices of zigbee2mqtt."""
LONGEST_NAME = 255
_DWELLING_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Nothing that parts a sensor's name: an id has to be recognised in one as a whole part."""
_NAME_PARTS = re.compile(r"[/:.]")
"""What parts a sensor's name."""
_MOST_SPOTS = 1_000_000
_SHORTEST_STALE, _LONGEST_STALE = timedelta(seconds=1), timedelta(days=365)
"""Twice this is the retained figure's Message Expiry, in whole seconds of 32 bits."""


def _topic_level(value: str) -> str:
    if not LEVEL.fullmatch(value) or value != value.strip():
        raise ValueError("expected one level of a topic: not empty, no '/', '+', '#' or control character")
    return value


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("expected a time zone such as Europe/Paris") from None
    return value


def _dwelling_id(value: str) -> str:
    if not _DWELLING_ID.fullmatch(value):
        raise ValueError("expected letters, digits, '-' and '_', beginning with a letter or digit")
    return value


def _sensor_name(value: str) -> str:
    if len(value) > LONGEST_NAME or not SENSOR_NAME.fullmatch(value):
        raise ValueError(f"expected 1 to {LONGEST_NAME} characters, none of them a control character")
    return value


TopicLevel = Annotated[str, AfterValidator(_topic_level)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]


def expand_labels(entry: str) -> Iterator[str]:
    """Expand `P-001..P-239` to its labels, counting up with the first one's zeros; a single label is itself.

    Raises ValueError for a range that counts down, changes its prefix or is absurdly long.
    """
    if ".." not in entry:
        yield entry
        return
    match = _RANGE.fullmatch(entry)
    if match is None or match["head"] != match["again"] or int(match["first"]) > int(match["last"]):
        raise ValueError(f"expected a range such as P-001..P-239, not {entry!r}")
    first, last = int(match["first"]), int(match["last"])
    if last - first >= _MOST_SPOTS:
        raise ValueError(f"a range of more than {_MOST_SPOTS} spots: {entry!r}")
    for number in range(first, last + 1):
        yield f"{match['head']}{number:0{len(match['first'])}d}"


ModelT = TypeVar("ModelT", bound=BaseModel)


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spot(_Entry):
    """A bay with properties of its own."""

    label: TopicLevel
    kind: SpotKind = "standard"
    dev_eui: DevEui | None = None
    tts_device_id: TtsDeviceId | None = None
    maximum_stay: Duration | None = None


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("expected text without control characters")
    return value


Text = Annotated[str, AfterValidator(_one_line)]


class CarPark(_Entry):
    """A car park or a stretch of street bays: one live figure."""

    code: TopicLevel
    name: Annotated[Text, Field(min_length=1)]
    aliases: tuple[str, ...] = ()
    zone: Text = ""
    capacity: Annotated[int, Field(ge=1, le=INT32_MAX)]
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    basis: Basis
    stale_after: Duration = timedelta(minutes=15)
    heartbeat: Duration = timedelta(hours=25)
    stuck_after: Duration | None = None
    low_battery: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 3.0
    timezone: TimeZone | None = None
    spots: tuple[str, ...] = ()
    spot: tuple[Spot, ...] = ()

    @model_validator(mode="after")
    def _check_spots(self) -> Self:
        labels = [label for entry in self.spots for label in expand_labels(entry)]
        for label in labels:
            _topic_level(label)
        repeated = [*_repeated(labels), *_repeated(spot.label for spot in self.spot)]
        faults = [f"spot {label} is listed twice" for label in repeated]
        count = len(self.all_spots())
        if count > self.capacity:
            faults.append(f"{count} spots listed, more than its capacity of {self.capacity}")
        if self.basis == "spots" and count == 0:
            faults.append('basis = "spots" needs at least one entry in spots')
        if not _SHORTEST_STALE <= self.stale_after <= _LONGEST_STALE:
            faults.append("stale_after: expected a duration from 1s to 365d")
        return _unless_faulty(self, faults)

    def all_spots(self) -> tuple[Spot, ...]:
        """Every spot once, in the order of `spots`, then those told only by `[[car_park.spot]]`."""
        special = {spot.label: spot for spot in self.spot}
        listed = {label: None for entry in self.spots for label in expand_labels(entry)}
        return tuple(special.get(label) or Spot(label=label) for label in listed | dict.fromkeys(special))


class DwellingSensor(_Entry):
    """A sensor of a home that is listed; those that are not are registered on sight."""

    name: Annotated[str, AfterValidator(_sensor_name)]
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
    unit: str = ""
    minimum: Annotated[float, Field(allow_inf_nan=False)] | None = None
    maximum: Annotated[float, Field(allow_inf_nan=False)] | None = None
    heartbeat: Duration = timedelta(0)
    pooled: bool = Field(default=True, strict=True)

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = []
        if not self.unit and self.kind not in KINDS:
            faults.append(f"unit: needed, since {self.kind} is none of the kinds {', '.join(KINDS)}")
        if self.unit and not is_unit(self.unit):
            faults.append("unit: expected a unit of SenML such as Cel")
        elif self.kind in KINDS and scale(self.stored_unit).primary != scale(KINDS[self.kind].unit).primary:
            faults.append(f"unit: {self.kind} is measured in {KINDS[self.kind].unit}, not in {self.unit}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            faults.append("minimum: expected at most the maximum")
        return _unless_faulty(self, faults)

    @property
    def stored_unit(self) -> str:
        """The unit its values are stored in, and its bounds given in."""
        return self.unit or KINDS[self.kind].unit


class DwellingDevice(_Entry):
    """A device of a home that speaks by LoRaWAN; `label` begins the names of its sensors."""

    label: Annotated[str, Field(pattern=f"^{SENML_NAME.pattern}$", max_length=200)]
    dev_eui: DevEui | None = None
    tts_device_id: TtsDeviceId | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        return _unless_faulty(self, [] if self.dev_eui or self.tts_device_id else ["needs a dev_eui or tts_device_id"])


class Dwelling(_Entry):
    """A home. Without consent nothing of it is kept."""

    id: Annotated[str, AfterValidator(_dwelling_id)]
    district: Annotated[str, Field(min_length=1), AfterValidator(_topic_level)]
    consent: bool = Field(strict=True)
    max_sensors: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    sensor: tuple[DwellingSensor, ...] = ()
    device: tuple[DwellingDevice, ...] = ()

    @model_validator(mode="after")
    def _check_sensors(self) -> Self:
        faults = [f"sensor {name} is listed twice" for name in _repeated(sensor.name for sensor in self.sensor)]
        faults += [f"device {label} is listed twice" for label in _repeated(device.label for device in self.device)]
        if len(self.sensor) > self.max_sensors:
            faults.append(f"{len(self.sensor)} sensors listed, more than max_sensors of {self.max_sensors}")
        return _unless_faulty(self, faults)


class Registry(_Entry):
    """All that is registered."""

    car_park: tuple[CarPark, ...] = ()
    dwelling: tuple[Dwelling, ...] = ()

    @model_validator(mode="after")
    def _check_unique(self) -> Self:
        names = [name for park in self.car_park for name in (park.code, *park.aliases)]
        faults = [f"car_park: code or alias {name!r} is used twice" for name in _repeated(names)]
        # By their places: a registry's faults are logged, and what is a home's must not be.
        faults += same({f"dwelling.{place}.id": home.id for place, home in enumerate(self.dwelling)})
        devices = self._devices()
        faults += same({f"{at}.dev_eui": one.dev_eui.upper() for at, one in devices.items() if one.dev_eui})
        faults += same_tts({f"{at}.tts_device_id": one.tts_device_id or "" for at, one in devices.items()})
        ids = {home.id for home in self.dwelling}
        faults += [
            f"{at}.label: holds the id of a home"
            for at, one in devices.items()
            if isinstance(one, DwellingDevice) and not ids.isdisjoint(_NAME_PARTS.split(one.label))
        ]
        return _unless_faulty(self, faults)

    @property
    def districts(self) -> tuple[str, ...]:
        """The districts that have a home, in order."""
        return tuple(sorted({home.district for home in self.dwelling}))

    def _devices(self) -> dict[str, Spot | DwellingDevice]:
        """Give everything that may speak by LoRaWAN, by its place in the file."""
        of_bays = {
            f"car_park.{place}.spot.{number}": spot
            for place, park in enumerate(self.car_park)
            for number, spot in enumerate(park.spot)
        }
        of_homes = {
            f"dwelling.{place}.device.{number}": device
            for place, home in enumerate(self.dwelling)
            for number, device in enumerate(home.device)
        }
        return {**of_bays, **of_homes}


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _unless_faulty(model: ModelT, faults: list[str]) -> ModelT:
    if faults:
        raise ValueError("; ".join(faults))
    return model


def load_registry(path: Path) -> Registry:
    """Read and check the registry file.

    Raises ConfigurationError naming the file and every fault, by line for TOML and by key for content.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); set ARCEAUX_REGISTRY") from None
    except (ValueError, RecursionError) as error:  # beyond its own error, of text that is no UTF-8 or beyond measure
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None
    try:
        return Registry.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{path}: {line}" for line in fault_lines(error))) from None
