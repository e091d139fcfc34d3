"""The public register: what is collected in dwellings, what for, and for how long, from the registry and the settings.

It names no dwelling, and counts none in groups that are small: with a single one in a district, what would be told of
the district would be told of the dwelling.
"""

import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from importlib import resources
from typing import Any, Final, Literal

import ingest.texts
from schemas.registry import Dwelling, Registry
from schemas.settings import Settings
from schemas.units import KINDS, OTHER

Language = Literal["en", "fr"]
FORMAT_VERSION: Final = 1
PURPOSES: Final[Mapping[str, str]] = {
    "readings": "retention_dwelling_readings",
    "minutes": "kept_minutes",
    "totals": "kept_totals",
    "last_told": "until_erased",
    "pooled": "for_ever",
    "groups": "two_months",
    "dead_letters": "retention_dead_letters",
    "sensors": "until_erased",
    "pauses": "until_erased",
    "health": "not_kept",
    "ledger": "for_ever",
    "erased": "for_ever",
}
"""What is kept, and for how long: a setting, or a text that says so."""
_UNITS: Final = (("days", timedelta(days=1)), ("hours", timedelta(hours=1)), ("minutes", timedelta(minutes=1)))

Texts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Collected:
    """A kind of sensor: what it measures, in which unit, how often."""

    kind: str
    meaning: str
    unit: str
    cadence: str


@dataclass(frozen=True, slots=True)
class Purpose:
    """Something that is kept: what for, for how long, and for whose eyes."""

    what: str
    why: str
    kept_for: str
    readers: str


@dataclass(frozen=True, slots=True)
class Register:
    """The whole of it, in one language."""

    format_version: int
    language: Language
    made_at: str
    title: str
    introduction: str
    group: int
    dwellings: str
    districts: tuple[str, ...]
    collected: tuple[Collected, ...]
    purposes: tuple[Purpose, ...]
    rights: tuple[str, ...]
    limits: tuple[str, ...]


def texts_in(language: Language) -> Texts:
    """Read the texts of a language."""
    return tomllib.loads(resources.files(ingest.texts).joinpath(f"{language}.toml").read_text(encoding="utf-8"))


def register_of(registry: Registry, settings: Settings, now: datetime, language: Language) -> Register:
    """Write the register."""
    texts = texts_in(language)
    homes = [home for home in registry.dwelling if home.consent]
    group = settings.privacy_minimum_group
    number = "homes_none" if not homes else "homes_many" if len(homes) >= group else "homes_few"
    by_district = Counter(home.district for home in homes)
    return Register(
        format_version=FORMAT_VERSION,
        language=language,
        made_at=now.date().isoformat(),
        title=texts["title"],
        introduction=_joined(texts["introduction"]),
        group=group,
        dwellings=texts[number].format(group=group),
        districts=tuple(sorted(name for name, count in by_district.items() if count >= group)),
        collected=tuple(_collected(homes, texts)),
        purposes=tuple(_purpose(name, kept, settings, texts) for name, kept in PURPOSES.items()),
        rights=tuple(texts["rights"].values()),
        limits=tuple(texts["limits"].values()),
    )


def as_json(register: Register) -> dict[str, Any]:
    """Give it for programs."""
    return asdict(register)


def as_markdown(register: Register) -> str:
    """Give it for people."""
    texts = texts_in(register.language)
    districts = texts["districts"].format(group=register.group, districts=", ".join(register.districts))
    kinds = [(f"`{row.kind}`", row.meaning, row.unit, row.cadence) for row in register.collected]
    purposes = [(row.what, row.why, row.kept_for, row.readers) for row in register.purposes]
    blocks = [
        f"# {register.title}",
        texts["made_at"].format(made_at=register.made_at),
        register.introduction,
        f"## {texts['homes_heading']}",
        " ".join([register.dwellings, *([districts] if register.districts else []), texts["districts_others"]]),
        f"## {texts['collected_heading']}",
        _joined(texts["collected_introduction"]),
        _table(texts["collected_columns"], kinds),
        f"## {texts['purposes_heading']}",
        _table(texts["purposes_columns"], purposes),
        f"## {texts['rights_heading']}",
        texts["rights_introduction"],
        "\n".join(f"* {right}" for right in register.rights),
        f"## {texts['limits_heading']}",
        "\n".join(f"* {limit}" for limit in register.limits),
    ]
    return "\n\n".join(blocks)


def _collected(homes: Sequence[Dwelling], texts: Texts) -> Iterator[Collected]:
    """Give every kind that may be recorded, and those that the registry lists beside them."""
    heartbeats: defaultdict[str, set[timedelta]] = defaultdict(set)
    units: dict[str, str] = {kind: bounds.unit for kind, bounds in KINDS.items()}
    for sensor in (sensor for home in homes for sensor in home.sensor):
        heartbeats[sensor.kind].add(sensor.heartbeat)
        units.setdefault(sensor.kind, sensor.stored_unit)
    for kind in (*units, OTHER):
        unit = units.get(kind, "")
        shown = f"`{unit}`" if unit not in {"", "/"} else texts["no_unit"]
        yield Collected(kind, texts["kinds"].get(kind, kind), shown, _cadence(heartbeats[kind], texts))


def _cadence(heartbeats: set[timedelta], texts: Texts) -> str:
    """Tell how often a kind reports: over all dwellings, so that none is told by its own."""
    told = sorted(heartbeat for heartbeat in heartbeats if heartbeat)
    if not told:
        return str(texts["cadence_free"])
    shortest, longest = _duration(told[0], texts), _duration(told[-1], texts)
    if shortest == longest:
        return str(texts["cadence"]).format(heartbeat=shortest)
    return str(texts["cadence_range"]).format(shortest=shortest, longest=longest)


def _purpose(name: str, kept: str, settings: Settings, texts: Texts) -> Purpose:
    text = texts["purposes"][name]
    kept_for = _duration(getattr(settings, kept), texts) if hasattr(settings, kept) else texts[kept]
    return Purpose(text["what"], text["why"], kept_for, texts["readers"][text["readers"]])


def _duration(duration: timedelta, texts: Texts) -> str:
    """Write a duration in the largest unit in which it is a whole number of more than one."""
    for name, unit in _UNITS:
        if duration % unit == timedelta(0) and duration > unit:
            return str(texts[name]).format(n=duration // unit)
    return str(texts["seconds"]).format(n=duration // timedelta(seconds=1))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _joined(text: str) -> str:
    return " ".join(text.split())
