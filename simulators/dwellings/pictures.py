"""A flat's day as a picture: where its people are, and what the sensors tell of it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.topics import Topics
from simulators.dwellings.flat import ROOMS, Flat
from simulators.dwellings.household import ZONE
from simulators.dwellings.model import make_flat
from simulators.dwellings.presence import BEDROOMS
from simulators.dwellings.programs import HOB, KETTLE, OVEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEP: Final = 60
"""Seconds between two looks at the flat."""
_CURVE: Final = slice(None, None, 5)
"""Of the air every fifth look is drawn: it moves slowly."""
_COLOURS: Final = {
    "living": "#228833",
    "kitchen": "#e08214",
    "bathroom": "#4aa8c9",
    "bedroom1": "#8c3f8c",
    "bedroom2": "#3b6fb0",
    "hall": "#9a9a9a",
}
_AWAY: Final = "#f0f0f0"
_SHOWN_TEMPERATURES: Final = ("living", "kitchen", "bathroom", "bedroom1", "bedroom2")
_SHOWN_CO2: Final = ("living", "kitchen", "bedroom1", "bedroom2")
_SHOWN_PLUGS: Final = {KETTLE: "#cc3311", HOB: "#e08214", OVEN: "#8c510a"}
_LABELLED_HOURS: Final = 1.75
_HEIGHTS: Final = (1.1, 2.0, 2.0, 1.9, 2.1)
_T = TypeVar("_T")


@dataclass(slots=True)
class _Day:
    """What was so, look by look: hours of the day, and columns by name; states as spans from hour to hour."""

    hours: list[float] = field(default_factory=list)
    columns: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    states: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    places: list[list[str]] = field(default_factory=list)

    def spans(self, name: str) -> list[tuple[float, float]]:
        """Give from when to when a state was true."""
        return [(begin, end - begin) for begin, end, is_so in _runs(self.hours, self.states[name]) if is_so]


def draw_flat_day(path: Path, registry: Registry, topics: Topics, seed: int, day: date) -> None:  # noqa: ARG001 - as all
    """Draw a local day of the registry's first home as SVG, the same bytes for the same seed.

    Raises ConfigurationError where there is no home.
    """
    from matplotlib import rc_context  # noqa: PLC0415 - an optional extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    if not registry.dwelling:
        raise ConfigurationError("the registry has no dwellings: add a [[dwelling]]")
    begin = datetime.combine(day, time(0), ZONE)
    seen = _watch(make_flat(registry.dwelling[0], 0, seed, begin), begin)
    with rc_context({"svg.hashsalt": "arceaux", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 11), layout="constrained", facecolor="white")
        axes: Sequence[Axes] = figure.subplots(len(_HEIGHTS), 1, sharex=True, height_ratios=_HEIGHTS)
        figure.suptitle(f"A simulated flat on {day:%A}, {day.day} {day:%B %Y}", fontsize=12, fontweight="bold")
        draw = (_draw_people, _draw_temperatures, _draw_co2, _draw_power, _draw_states)
        for one, on in zip(draw, axes, strict=True):
            one(on, seen)
            on.margins(x=0)
            on.set_axisbelow(True)
            on.grid(axis="x", color="#efefef", lw=0.6)
        axes[-1].set_xticks(range(0, 25, 2), [f"{hour:02d}:00" for hour in range(0, 25, 2)])
        axes[-1].set_xlim(0, 24)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _watch(flat: Flat, begin: datetime) -> _Day:
    """Look at a flat all day long."""
    seen = _Day(places=[[] for _ in range(flat.residents)])
    for seconds in range(0, 24 * 3600, _STEP):
        flat.live(begin.timestamp() + seconds)
        seen.hours.append(seconds / 3600)
        for person in range(flat.residents):
            doing = flat.presence.people[person]
            seen.places[person].append(f"{flat.presence.room_of(person)}{' asleep' if doing == 'sleep' else ''}")
        for name, room in flat.rooms.items():
            seen.columns[f"{name}/temperature"].append(room.temperature)
            seen.columns[f"{name}/co2"].append(room.co2)
            seen.states[f"{name}/window"].append(room.is_open)
            seen.states[f"{name}/motion"].append(flat.presence.moves(name))
        seen.columns["outdoor/temperature"].append(flat.around.temperature)
        for name in _SHOWN_PLUGS:
            seen.columns[name].append(flat.supply.loads[name].flow)
        seen.columns["meter"].append(flat.supply.power.flow)
        for name in BEDROOMS:
            seen.states[f"{name}/bed"].append(flat.presence.beds[name])
    return seen


def _runs(hours: Sequence[float], values: Sequence[_T]) -> Iterator[tuple[float, float, _T]]:
    """Give begin, end and value of stretches of equal values."""
    begin = 0
    for number in range(1, len(values) + 1):
        if number == len(values) or values[number] != values[begin]:
            yield hours[begin], hours[number] if number < len(values) else 24.0, values[begin]
            begin = number


def _draw_people(axes: "Axes", seen: _Day) -> None:
    for person, places in enumerate(seen.places):
        for begin, end, place in _runs(seen.hours, places):
            room, _, asleep = place.partition(" ")
            colour = _COLOURS.get(room, _AWAY)
            axes.broken_barh([(begin, end - begin)], (person - 0.38, 0.76), color=colour, alpha=0.45 if asleep else 1)
            if end - begin > _LABELLED_HOURS:
                text = "asleep" if asleep else room or "away"
                ink = "#444444" if asleep or not room else "white"
                axes.text((begin + end) / 2, person, text, ha="center", va="center", color=ink, fontsize=8)
    axes.set_yticks(range(len(seen.places)), [f"person {person + 1}" for person in range(len(seen.places))])
    axes.set_title("Where the people are", loc="left", fontsize=10)
    axes.tick_params(left=False)
    axes.set_ylim(len(seen.places) - 0.4, -0.6)
    names = [plan.name for plan in ROOMS]
    handles = [axes.plot([], [], lw=6, color=_COLOURS[name], label=name)[0] for name in names]
    axes.legend(handles=handles, ncols=len(names), frameon=False, loc="lower right", bbox_to_anchor=(1, 0.98))


def _draw_temperatures(axes: "Axes", seen: _Day) -> None:
    hours = seen.hours[_CURVE]
    for name in _SHOWN_TEMPERATURES:
        axes.plot(hours, seen.columns[f"{name}/temperature"][_CURVE], color=_COLOURS[name], lw=1.3, label=name)
    _mark_windows(axes, seen)
    outdoors = seen.columns["outdoor/temperature"]
    outside = f"{min(outdoors):.0f} to {max(outdoors):.0f} outdoors"
    axes.set_title(f"Temperature, °C ({outside})", loc="left", fontsize=10)


def _draw_co2(axes: "Axes", seen: _Day) -> None:
    for name in _SHOWN_CO2:
        axes.plot(seen.hours[_CURVE], seen.columns[f"{name}/co2"][_CURVE], color=_COLOURS[name], lw=1.3, label=name)
    _mark_windows(axes, seen)
    axes.set_title("CO$_2$, ppm; below: open windows", loc="left", fontsize=10)


def _mark_windows(axes: "Axes", seen: _Day) -> None:
    """Draw a strip at the bottom, in the colours of the rooms whose windows are open."""
    low, high = axes.get_ylim()
    strip = 0.06 * (high - low)
    axes.set_ylim(low - 1.5 * strip, high)
    for name, colour in _COLOURS.items():
        for begin, hours in seen.spans(f"{name}/window") if f"{name}/window" in seen.states else []:
            axes.broken_barh([(begin, hours)], (low - 1.4 * strip, strip), color=colour)
            axes.axvspan(begin, begin + hours, color=colour, alpha=0.07, lw=0)
    axes.grid(axis="y", color="#e6e6e6", lw=0.6)
    axes.legend(ncols=5, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.97))


def _draw_power(axes: "Axes", seen: _Day) -> None:
    for name, colour in {"meter": "#c9d3dc", **_SHOWN_PLUGS}.items():
        runs = list(_runs(seen.hours, [round(watts) for watts in seen.columns[name]]))
        edges = [begin for begin, _, _ in runs] + [24.0]
        label, is_meter = name.rpartition("/")[2], name == "meter"
        axes.stairs([watts for *_, watts in runs], edges, color=colour, fill=is_meter, lw=1.1, label=label)
    axes.set_title("Power, W", loc="left", fontsize=10)
    axes.grid(axis="y", color="#e6e6e6", lw=0.6)
    axes.legend(ncols=5, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.97))


def _draw_states(axes: "Axes", seen: _Day) -> None:
    rows = [f"{plan.name}/motion" for plan in ROOMS] + [f"{name}/bed" for name in BEDROOMS]
    for number, name in enumerate(rows):
        spans = seen.spans(name)
        axes.broken_barh(spans, (number - 0.36, 0.72), color=_COLOURS[name.partition("/")[0]], lw=0)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_title("Detectors of movement, and beds that somebody lies in", loc="left", fontsize=10)
    axes.tick_params(left=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
