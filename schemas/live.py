"""Payloads out: the live figures, as downstream apps read them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict

Basis = Literal["spots", "count"]
FigureStatus = Literal["open", "almost_full", "full", "closed", "unknown"]


MOST_ATTENTION: Final = 500
"""Sensors that are named in the health topic."""


class SensorState(StrEnum):
    """The health of a sensor: `ok`, or the first of the others that holds."""

    OK = "ok"
    NOISY = "noisy"
    SILENT = "silent"
    DUPLICATE_IDENTITY = "duplicate_identity"
    CLOCK_SKEW = "clock_skew"
    STUCK = "stuck"
    FLAPPING = "flapping"
    LOW_BATTERY = "low_battery"


class Domain(StrEnum):
    """Where a sensor belongs."""

    PARKING = "parking"
    DWELLINGS = "dwellings"


class _Figure(BaseModel):
    model_config = ConfigDict(frozen=True)

    def payload(self) -> bytes:
        """Write compact JSON, times in UTC."""
        return self.model_dump_json().encode()


class CarParkFigure(_Figure):
    """`{root}/live/parking/{car_park}`. Always free + occupied + unknown = capacity."""

    car_park: str
    name: str
    zone: str
    status: FigureStatus
    basis: Basis
    capacity: int
    free: int
    occupied: int
    unknown: int
    free_min: int
    free_max: int
    occupancy: float | None
    confidence: float
    stale: bool
    quality: list[str]
    observed_at: datetime | None
    revision: int

    @classmethod
    def of(  # noqa: PLR0913 - the row of the table, by name
        cls,
        *,
        car_park: str,
        name: str,
        zone: str,
        status: FigureStatus,
        basis: Basis,
        capacity: int,
        free: int,
        occupied: int,
        unknown: int,
        stale: bool,
        quality: list[str],
        observed_at: datetime | None,
        revision: int,
    ) -> Self:
        """Build the figure from what is stored; bounds and ratios follow from the counts."""
        known = occupied + free
        return cls(
            car_park=car_park,
            name=name,
            zone=zone,
            status=status,
            basis=basis,
            capacity=capacity,
            free=free,
            occupied=occupied,
            unknown=unknown,
            free_min=free,
            free_max=free + unknown,
            occupancy=round(occupied / known, 4) if known else None,
            confidence=round(1 - unknown / capacity, 4),
            stale=stale,
            quality=quality,
            observed_at=observed_at,
            revision=revision,
        )


class CityFigure(_Figure):
    """`{root}/live/parking`: the sums over all car parks."""

    car_parks: int
    capacity: int
    free: int
    occupied: int
    unknown: int
    observed_at: datetime | None
    revision: int


def _in_order(counts: dict[SensorState, int]) -> dict[SensorState, int]:
    return {state: counts.get(state, 0) for state in SensorState}


SensorCounts = Annotated[dict[SensorState, int], AfterValidator(_in_order)]
"""How many sensors are in each state."""


class Attention(BaseModel):
    """A sensor that needs attention: `ANTI/P-001` is a bay, `COME` the counter of a car park."""

    model_config = ConfigDict(frozen=True)

    asset: str
    state: SensorState
    since: datetime | None


class HealthFigure(_Figure):
    """`{root}/live/health`: how many sensors are in each state, those of homes too, and which need attention."""

    sensors: SensorCounts
    dwellings: SensorCounts
    attention: list[Attention]
    attention_total: int
    revision: int


class PooledMean(BaseModel):
    """A state of a district's homes: the mean over them, rounded."""

    model_config = ConfigDict(frozen=True)

    kind: str
    unit: str
    mean: float


class PooledSum(BaseModel):
    """What a district's homes used: the sum over them, rounded."""

    model_config = ConfigDict(frozen=True)

    kind: str
    unit: str
    sum: float


class DistrictFigure(_Figure):
    """`{root}/live/dwellings/{district}`. The group is a bound, such as `>=11`, never a number."""

    district: str
    start: datetime
    end: datetime
    group: str
    figures: list[PooledMean | PooledSum]


class DistrictSuppressed(_Figure):
    """The same topic, where nothing may be said of the newest step. Why not is not told either."""

    district: str
    suppressed: Literal[True] = True


class ServiceStatus(_Figure):
    """`{root}/status/{client_id}`."""

    state: Literal["online", "offline"]
    version: str
    since: datetime
