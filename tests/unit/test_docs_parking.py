"""The page of simulators and the model of parking, held together by reading both."""

import re
from collections.abc import Iterable, Sequence

import pytest
from unit.pages import page, plain, section, table

from simulators.parking.days import FAULTY
from simulators.parking.drivers import Group
from simulators.parking.events import NOTHING, events_of
from simulators.parking.profiles import BAYS, PARKS
from simulators.parking.resemblance import SEEDS

PARKING = section(page("simulators.md"), "## Parking")


def told_groups() -> list[list[str]]:
    """Give the rows of the tables of drivers: those of five cells."""
    return [row for row in table(section(PARKING, "### Who parks")) if len(row) == 5]


def rows_of(kinds: Iterable[tuple[str, Sequence[Group]]]) -> list[list[str]]:
    """Write the parameters of the model as the tables do."""
    rows = []
    for kind, groups in kinds:
        for group in groups:
            waves = [(f"{wave.hour:g} ± {wave.spread:g}", f" ({wave.weight:.0%})") for wave in group.waves]
            hours = "; ".join(hour + (share if len(waves) > 1 else "") for hour, share in waves)
            arrivals = ", ".join(f"{count:g}" for count in group.arrivals)
            rows.append([kind, group.name, arrivals, hours, f"{group.stay.median:g} h, {group.stay.spread:g}"])
    return rows


def test_every_group_of_drivers_is_told_with_its_parameters() -> None:
    """The tables are the model, of car parks and of bays."""
    told = [[plain(row[0]), *row[1:]] for row in told_groups()]
    assert told == rows_of([*PARKS.items(), *BAYS.items()])


def test_every_event_is_told() -> None:
    """The table of events is what can happen."""
    known = {name for week in range(20) for name in events_of(1, week)}
    assert {row[0] for row in table(section(PARKING, "### Events"))} == known
    assert NOTHING.arrivals == 0


def test_the_comparison_names_what_is_left_out() -> None:
    """The counters that are no measure, and how many cities are averaged."""
    compared = section(PARKING, "### How it compares")
    assert set(FAULTY) <= set(re.findall(r"\b[A-Z]{2,4}\d{0,3}\b", compared))
    assert f"seeds 1 to {SEEDS}" in compared


@pytest.mark.parametrize("name", ["simulated-days.svg", "simulated-week.svg"])
def test_pictures_are_shown_once(name: str) -> None:
    """Each picture that the command draws stands on the page."""
    assert page("simulators.md").count(f"(pictures/{name})") == 1
