"""How simulated and real days compare, as text and as JSON."""

import math
from collections.abc import Sequence

from simulators.parking.curves import Shape
from simulators.parking.resemblance import Comparison

_HEAD = (
    "kind           day         hours   simulated: peak trough mean swing   real: peak trough mean swing"
    "   correlation  rmse"
)


def as_text(comparisons: Sequence[Comparison]) -> str:
    """Write a table: hours of the day, and percent of the places."""
    return "\n".join([_HEAD, *(_line(one) for one in comparisons)])


def to_json(comparisons: Sequence[Comparison]) -> list[dict[str, object]]:
    """Give what can be written as JSON: hours of the day, and shares of the places; null for what is not known."""
    return [
        {
            "kind": one.kind,
            "day": one.day.isoformat(),
            "half_hours": one.half_hours,
            "simulated": _figures(one.simulated),
            "real": _figures(one.real) if one.real else None,
            "correlation": _finite(one.likeness.correlation) if one.likeness else None,
            "rmse": round(one.likeness.rmse, 4) if one.likeness else None,
        }
        for one in comparisons
    ]


def _line(one: Comparison) -> str:
    line = f"{one.kind:15}{one.day:%a %d %b} {one.half_hours / 2:8.1f}   {_words(one.simulated):>32}"
    if one.real is None or one.likeness is None:
        return line
    return f"{line}   {_words(one.real):>27}   {one.likeness.correlation:11.3f} {100 * one.likeness.rmse:5.1f}"


def _words(shape: Shape) -> str:
    hours = " ".join(f"{int(hour):02d}:{round(hour % 1 * 60):02d}" for hour in (shape.peak_hour, shape.trough_hour))
    return f"{hours} {100 * shape.mean:5.1f} {100 * shape.swing:5.1f}"


def _figures(shape: Shape) -> dict[str, float]:
    return {
        "peak_hour": shape.peak_hour,
        "trough_hour": shape.trough_hour,
        "mean": round(shape.mean, 4),
        "swing": round(shape.swing, 4),
    }


def _finite(number: float) -> float | None:
    return round(number, 4) if math.isfinite(number) else None
