"""Pictures of simulated days of parking, drawn with matplotlib. Equal cities make equal files, byte by byte."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from schemas.registry import Registry, SpotKind
from simulators.parking import days
from simulators.parking.calendar import HALF_HOURS_A_DAY, week_of
from simulators.parking.curves import Curve, curve_of
from simulators.parking.events import EventName, events_of
from simulators.parking.profiles import ParkKind, kind_of
from simulators.parking.resemblance import DAYS, SEEDS, KindOfDays

BLUE, LIGHT_BLUE, ORANGE, GREEN, GREY = "#0072B2", "#9ecae8", "#D55E00", "#009E73", "#8a8a8a"
"""Of the palette of Okabe and Ito, which colour-blind people can tell apart."""
_WEEK = 7
_WITHOUT_DATE = {"Date": None}
_KINDS: Sequence[ParkKind] = ("centre", "park-and-ride", "suburb", "station", "hospital", "leisure")
_EVENT_LABELS: Mapping[EventName, tuple[ParkKind, float, Literal["center", "right"]]] = {
    "market": ("centre", 100, "center"),
    "match": ("park-and-ride", 100, "right"),
    "flea market": ("park-and-ride", 84, "center"),
}
"""In which panel each is written, at how many percent, and where its hour is."""
_BAY_NAMES: Mapping[SpotKind, str] = {
    "standard": "standard bays",
    "pmr": "bays for disabled drivers",
    "delivery": "delivery bays",
    "short_stay": "short-stay bays",
    "charging": "charging bays",
}


def draw_days(path: Path, kinds: Sequence[KindOfDays], first: date) -> None:
    """Draw some days of each kind of car park: the simulated cities' mean and range, and the real days over it."""
    with _style():
        figure = Figure(figsize=(9.0, 2.6 * len(kinds) + 0.5), layout="constrained")
        grid = figure.subplots(len(kinds), 1, sharex=True, squeeze=False)
        for axes, kind in zip(grid[:, 0], kinds, strict=True):
            _draw_kind(axes, kind)
            axes.set_title(_name(kind.kind, len(kind.car_parks)))
            _scale(axes, first, DAYS)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False)
        _save(figure, path)


def draw_week(path: Path, registry: Registry, seed: int, day: date) -> None:
    """Draw a city's week, from the Monday before a day on: every kind of car park, and every kind of bay."""
    monday = day - timedelta(days=day.weekday())
    parks = _parks_of(registry, seed, monday)
    columns = [column for column in (parks, _bays_of(registry, seed, monday)) if column]
    rows = max(len(column) for column in columns)
    with _style():
        figure = Figure(figsize=(5.5 * len(columns), 1.55 * rows + 0.4), layout="constrained")
        grid = figure.subplots(rows, len(columns), squeeze=False)
        for column, axes in zip(columns, grid.T, strict=True):
            _draw_column(axes, column, monday)
        _name_events(list(grid[:, 0]), list(parks), seed, monday)
        figure.suptitle(
            f"A week from {_named(monday)} {monday.year}: mean of a kind, and in grey each car park", fontsize=10
        )
        _save(figure, path)


def _draw_kind(axes: Axes, kind: KindOfDays) -> None:
    hours = np.arange(len(kind.simulated)) / 2 + 0.25
    cities = 100 * np.asarray(kind.cities)
    label = f"simulated, range of {SEEDS} cities"
    axes.fill_between(hours, cities.min(axis=0), cities.max(axis=0), color=LIGHT_BLUE, linewidth=0, label=label)
    axes.plot(hours, 100 * kind.simulated, color=BLUE, linewidth=1.8, label="simulated, mean")
    if kind.real is not None:
        axes.plot(hours, 100 * kind.real, "o", color=ORANGE, markersize=3.6, label="real")


def _parks_of(registry: Registry, seed: int, monday: date) -> Mapping[str, list[Curve]]:
    """Give the curves of a city's car parks, by kind."""
    counted = tuple(park for park in registry.car_park if park.basis == "count")
    samples = list(days.simulated(counted, seed, monday, _WEEK))
    made: dict[str, list[Curve]] = {}
    for kind in _KINDS:
        codes = [park.code for park in counted if kind_of(park) == kind]
        if codes:
            made[_name(kind, len(codes))] = [curve_of(samples, [code], _WEEK * HALF_HOURS_A_DAY) for code in codes]
    return made


def _bays_of(registry: Registry, seed: int, monday: date) -> Mapping[str, list[Curve]]:
    """Give the curves of a city's bays, by kind."""
    counts = Counter(spot.kind for park in registry.car_park for spot in park.all_spots())
    curves = days.bays(registry, seed, monday, _WEEK)
    return {f"{counts[kind]} {name}": [curves[kind]] for kind, name in _BAY_NAMES.items() if kind in curves}


def _name(kind: ParkKind, count: int) -> str:
    return f"{kind}: {count} car parks" if count > 1 else f"{kind}: one car park"


def _draw_column(column: Sequence[Axes], panels: Mapping[str, list[Curve]], monday: date) -> None:
    for axes, (name, curves) in zip(column, panels.items(), strict=False):
        hours = np.arange(len(curves[0])) / 2 + 0.25
        for curve in curves if len(curves) > 1 else ():
            axes.plot(hours[::2] + 0.25, 100 * curve.reshape(-1, 2).mean(axis=1), color=GREY, linewidth=0.5)
        axes.plot(hours, 100 * np.mean(curves, axis=0), color=BLUE, linewidth=1.6)
        axes.set_title(name)
        _scale(axes, monday, _WEEK)
    for axes in column[len(panels) :]:
        axes.set_visible(False)


def _name_events(column: Sequence[Axes], panels: Sequence[str], seed: int, monday: date) -> None:
    """Write what happens in the week where it draws drivers."""
    for name, event in events_of(seed, week_of(monday)).items():
        kind, height, align = _EVENT_LABELS[name]
        for axes, panel in zip(column, panels, strict=False):
            if panel.startswith(kind):
                axes.annotate(name, (event.hour, height), ha=align, va="top", fontsize=7.5, color=ORANGE)


def _scale(axes: Axes, first: date, count: int) -> None:
    axes.set(xlim=(0, 24 * count), ylim=(0, 100), ylabel="taken, %")
    axes.set_yticks([0, 50, 100])
    if count <= DAYS:
        ticks = range(0, 24 * count + 1, 6)
        axes.set_xticks(ticks, [_tick(first, hour) for hour in ticks])
    else:
        noons = range(12, 24 * count, 24)
        axes.set_xticks(noons, [f"{first + timedelta(hours=noon):%a}" for noon in noons])
        axes.tick_params(axis="x", length=0)
    for day in range(1, count):
        axes.axvline(24 * day, color=GREY, linewidth=0.6)
    axes.grid(visible=True, axis="y", color="#dddddd", linewidth=0.6)


def _named(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _tick(first: date, hour: int) -> str:
    """Name a day at its midnight, and hours."""
    return _named(first + timedelta(hours=hour)) if hour % 24 == 0 else f"{hour % 24}"


def _style() -> AbstractContextManager[None]:
    """Draw with the look of these pictures while the context lasts."""
    return mpl.rc_context(
        {
            "svg.hashsalt": "arceaux",
            "font.family": "DejaVu Sans",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "path.simplify_threshold": 1.0,
        }
    )


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata=_WITHOUT_DATE if path.suffix == ".svg" else None, dpi=130)
