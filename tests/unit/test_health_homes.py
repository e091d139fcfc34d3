"""The health of homes' sensors: counted, never named."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from unit.households import Household, paused
from unit.worlds import DAY, GATE, HOUR, MINUTE, NOW, SECOND

from processors.columns import READING, records
from processors.gate import Gate, Pause
from processors.health_homes import VARYING
from schemas.live import SensorState
from schemas.units import KINDS

HOMES: list[dict[str, Any]] = [
    {
        "id": "hut-01",
        "district": "antigone",
        "consent": True,
        "sensor": [
            {"name": "kitchen/temperature", "kind": "temperature", "heartbeat": "15m"},
            {"name": "kitchen/power", "kind": "power", "heartbeat": "15m"},
            {"name": "door", "kind": "contact"},
        ],
    },
    {
        "id": "hut-02",
        "district": "antigone",
        "consent": True,
        "sensor": [{"name": "bath/humidity", "kind": "humidity", "heartbeat": "1h"}],
    },
]
TEMPERATURE, POWER, DOOR, HUMIDITY = range(4)
MINUTES = range(0, 24 * 60 + 1, 10)


class Watch:
    """Homes that are looked at."""

    def __init__(self, homes: Sequence[Mapping[str, Any]] = HOMES) -> None:
        self.household = Household(homes)
        self.homes = self.household.layout.homes

    def say(self, at: int, *told: tuple[int, float]) -> "Watch":
        """Let sensors tell values at one time."""
        self.homes.sensors.health.observe(records([(0, 0, at, sensor, value) for sensor, value in told], READING))
        return self

    def counts(self, now: int, *, gate: Gate = GATE, clock: int | None = None) -> dict[SensorState, int]:
        """Look, and give how many are in each state, but for those with none."""
        self.homes.judge(gate, now, now if clock is None else clock)
        told = zip(SensorState, self.homes.sensors.health.counts, strict=True)
        return {state: count for state, count in told if count}


def test_a_sensor_is_ok_until_it_has_shown_otherwise() -> None:
    """Nothing is stored of their health, so at the start all are waited for."""
    assert Watch().counts(NOW) == {SensorState.OK: 4}


def test_listed_sensors_with_a_heartbeat_fall_silent() -> None:
    """Each after its own; one that speaks only on change never; as of a clock that is held while a backlog drains."""
    watch = Watch()
    watch.counts(NOW)
    later = NOW + 20 * MINUTE
    assert watch.counts(later, clock=NOW) == {SensorState.OK: 4}
    assert watch.counts(later + MINUTE) == {SensorState.OK: 2, SensorState.SILENT: 2}
    watch.say(later + MINUTE, (POWER, 0.0))
    assert watch.counts(later + 2 * MINUTE) == {SensorState.OK: 3, SensorState.SILENT: 1}
    assert watch.counts(NOW + DAY) == {SensorState.OK: 1, SensorState.SILENT: 3}


def test_a_kind_that_always_varies_is_stuck_after_a_day_of_one_value() -> None:
    """Of power and doors one value is usual; another value ends it."""
    watch = Watch()
    for minute in MINUTES:
        assert SensorState.STUCK not in watch.counts(NOW + minute * MINUTE)
        watch.say(NOW + minute * MINUTE, (TEMPERATURE, 20.5), (POWER, 0.0), (DOOR, 1.0), (HUMIDITY, 40 + minute))
    last = NOW + DAY + MINUTE
    assert watch.counts(last) == {SensorState.OK: 3, SensorState.STUCK: 1}
    watch.say(last, (TEMPERATURE, 20.4))
    assert watch.counts(last + 11 * SECOND) == {SensorState.OK: 4}


def test_few_readings_are_not_stuck() -> None:
    """Two readings a day apart say nothing: twenty are needed."""
    watch = Watch()
    for part in range(19):
        watch.say(NOW + part * DAY // 18, (HUMIDITY, 50.0))
    assert watch.counts(NOW + DAY + MINUTE)[SensorState.OK] == 4
    watch.say(NOW + DAY + 2 * MINUTE, (HUMIDITY, 50.0))
    assert watch.counts(NOW + DAY + 3 * MINUTE)[SensorState.STUCK] == 1


def test_a_change_within_a_batch_ends_a_run() -> None:
    """Also where the batch ends with the value that it began with."""
    watch = Watch()
    for minute in MINUTES:
        watch.say(
            NOW + minute * MINUTE, (HUMIDITY, 50.0), (HUMIDITY, 51.0 if minute == 1200 else 50.0), (HUMIDITY, 50.0)
        )
    assert SensorState.STUCK not in watch.counts(NOW + DAY + MINUTE)


def test_a_home_in_a_pause_is_not_silent() -> None:
    """Its readings are refused; after the pause its sensors have their heartbeat to speak again."""
    watch = Watch()
    watch.counts(NOW)
    gate = paused(watch.household.pseudonym("hut-01"), Pause(NOW))
    assert watch.counts(NOW + DAY, gate=gate) == {SensorState.OK: 3, SensorState.SILENT: 1}
    assert watch.counts(NOW + DAY + 14 * MINUTE) == {SensorState.OK: 3, SensorState.SILENT: 1}
    assert watch.counts(NOW + DAY + 16 * MINUTE) == {SensorState.OK: 1, SensorState.SILENT: 3}


def test_a_pause_changes_no_count() -> None:
    """What was silent or stuck when it began counts so until it ends: else the numbers would tell of the pause."""
    watch = Watch()
    for minute in MINUTES:
        watch.counts(NOW + minute * MINUTE)
        watch.say(NOW + minute * MINUTE, (TEMPERATURE, 20.5), (HUMIDITY, 40 + minute))
    began = NOW + DAY + MINUTE
    before = watch.counts(began)
    assert before == {SensorState.OK: 2, SensorState.SILENT: 1, SensorState.STUCK: 1}
    gate = paused(watch.household.pseudonym("hut-01"), Pause(began))
    for seconds in range(10, 300, 10):
        assert watch.counts(began + seconds * SECOND, gate=gate) == before
        watch.say(began + seconds * SECOND, (HUMIDITY, seconds))
    ended = began + HOUR
    assert watch.counts(ended, gate=gate) == before
    assert watch.counts(ended + MINUTE) == before
    watch.say(ended + MINUTE, (TEMPERATURE, 20.4), (POWER, 1.0))
    assert watch.counts(ended + 2 * MINUTE) == {SensorState.OK: 4}


def test_a_home_without_consent_is_not_counted() -> None:
    """Not even as being there; with consent again it is waited for anew."""
    watch = Watch()
    watch.counts(NOW)
    sensors = watch.homes.sensors
    consenting = [home for home in watch.homes.homes if home.dwelling == "hut-02"]
    sensors.health.judge(NOW + DAY, NOW + DAY, lambda: sensors.watched({home.id: False for home in consenting}))
    assert sum(sensors.health.counts) == 1
    assert watch.counts(NOW + DAY + MINUTE) == {SensorState.OK: 3, SensorState.SILENT: 1}


def test_sensors_are_looked_at_every_ten_seconds() -> None:
    """Of a million sensors that is time enough."""
    watch = Watch()
    watch.counts(NOW)
    assert watch.counts(NOW + HOUR) != {SensorState.OK: 4}
    watch.say(NOW + HOUR, *((sensor, 1.0) for sensor in range(4)))
    assert watch.counts(NOW + HOUR + 9 * SECOND) != {SensorState.OK: 4}
    assert watch.counts(NOW + HOUR + 10 * SECOND) == {SensorState.OK: 4}


def test_no_homes_have_no_sensors() -> None:
    """An empty registry counts nothing."""
    assert Watch([]).counts(NOW) == {}


def test_kinds_that_vary_are_kinds() -> None:
    """A misspelt one would never be stuck."""
    assert set(KINDS) >= VARYING


@pytest.mark.parametrize("seed", [np.random.default_rng().integers(10**6)])
def test_many_readings_of_many_sensors_count_as_one_by_one(seed: int) -> None:
    """A batch does to a sensor what its readings do apart, to within the batch that a run begins in."""
    rng = np.random.default_rng(seed)
    watch, single = Watch(), Watch()
    for begin in range(0, 26 * 60, 40):
        # All readings of a sensor in one batch are alike, as its runs begin with a batch.
        values = rng.integers(0, 2, 4) if rng.random() < 0.02 else np.full(4, 7)
        rows = [(NOW + (begin + n) * MINUTE, n % 4, float(values[n % 4])) for n in range(0, 40, 1)]
        watch.homes.sensors.health.observe(records([(0, 0, at, sensor, value) for at, sensor, value in rows], READING))
        for at, sensor, value in rows:
            single.say(at, (sensor, value))
    end = NOW + 26 * HOUR
    assert watch.counts(end) == single.counts(end)
