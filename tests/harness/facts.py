"""What sensors say: seeded events, and what must come of them by a plain computation."""

import json
import random
from datetime import UTC, datetime, timedelta

NOW = datetime.now(UTC)
Event = tuple[str, str, bool, datetime]
"""Car park, spot, occupied, time."""


def spot_message(car_park: str, spot: str, *, occupied: bool, time: datetime) -> tuple[str, bytes]:
    """Make what a bay sensor sends."""
    payload = {"occupied": occupied, "time": time.isoformat()}
    return f"city/parking/{car_park}/spots/{spot}", json.dumps(payload).encode()


def random_events(seed: int, size: int) -> list[Event]:
    """Make spot events in random order, a third of them repeats, some at one instant with two values."""
    rng = random.Random(seed)
    events = []
    for _ in range(size):
        park, spot = rng.choice([("ANTI", f"P-{rng.randint(1, 39):03d}"), ("FOCH", f"A-{rng.randint(1, 60):02d}")])
        time = NOW - timedelta(seconds=rng.randrange(0, 3600, 7))
        events.append((park, spot, rng.random() < 0.5, time))
    events += rng.choices(events, k=size // 3)
    rng.shuffle(events)
    return events


def expected_state(events: list[Event]) -> dict[tuple[str, str], tuple[datetime, bool]]:
    """Tell, spot by spot, the newest event; occupied wins at equal times."""
    state: dict[tuple[str, str], tuple[datetime, bool]] = {}
    for park, spot, occupied, time in events:
        state[park, spot] = max(state.get((park, spot), (time, occupied)), (time, occupied))
    return state
