"""Every metric, declared once, on a registry of its own. Labels come from closed sets or from the registry file."""

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from ingest.transaction import Outcome
from processors.columns import NEVER, Records
from processors.health import STATES, Health
from processors.layout import NO_ASSET, Layout
from processors.noise import Noisy
from schemas.live import Domain
from schemas.reasons import Reason
from schemas.topics import ROUTES

OUTCOMES: Final = ("stored", "duplicate", "dead_lettered", "refused")

_SIZES: Final = (1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000)
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The service's metrics; `registry` is what the ops endpoint shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.messages = self._counter("messages_received", "Messages of committed batches, redeliveries too.", "route")
        self.readings = self._counter(
            "readings", "Readings of committed batches by what became of them.", "route", "outcome"
        )
        self.dead_letters = self._counter("dead_letters", "Dead letters written, by reason.", "reason")
        self.publications = self._counter("publications", "Live figures acknowledged by the broker.")
        self.removed_rows = self._counter(
            "removed_rows", "Rows that retention removed; of dead letters the readings they stood for.", "table"
        )
        self.pooled_steps = self._counter("pooled_steps", "Steps of districts that were judged.", "outcome")
        self.reconnects = self._counter("reconnects", "Times the consumer connected again.")
        self.sessions_lost = self._counter("sessions_lost", "Times the broker had forgotten the consumer's session.")
        self.batch_readings = self._histogram("batch_readings", "Readings in a committed batch.", _SIZES)
        self.commit_seconds = self._histogram("commit_seconds", "Time from begin to commit of a batch.", _SECONDS)
        self.receive_to_commit = self._histogram(
            "receive_to_commit_seconds", "Time from a batch's oldest arrival to its commit.", _SECONDS
        )
        self.event_to_publish = self._histogram(
            "event_to_publish_seconds", "Time from the arrival that changed a figure to its publication.", _SECONDS
        )
        self.unacknowledged = self._gauge("unacknowledged", "Messages received and not yet acknowledged.")
        self.window_ratio = self._gauge("receive_window_ratio", "Part of the Receive Maximum in use.")
        self.broker_connected = self._gauge("broker_connected", "1 while all subscriptions are granted.")
        self.database_up = self._gauge("database_up", "1 while the last database call succeeded.")
        self.last_commit = self._gauge("last_commit_timestamp_seconds", "When a batch was last committed.")
        self.last_retention = self._gauge(
            "last_retention_timestamp_seconds", "When nothing was left that is past its time."
        )
        self.minutes_rolled = self._counter("minutes_rolled", "Minutes of sensors of homes that were aggregated.")
        self.marks_dropped = self._counter(
            "marks_dropped", "Marks of minutes that cannot be aggregated any more, since retention was there before."
        )
        self.last_roll = self._gauge("last_roll_timestamp_seconds", "When no minute was left to be aggregated.")
        self.pooled_until = self._gauge(
            "pooled_until_timestamp_seconds", "End of the newest step that all districts were judged for."
        )
        self.noisy = self._gauge(
            "noisy_messages_per_second",
            "Messages of sources that are noisy while the stream is above capacity.",
            "source",
        )
        self.car_park_free = self._gauge("car_park_free", "Free places by the live figure.", "car_park")
        self.car_park_stale = self._gauge("car_park_stale", "1 where nothing of the car park is fresh.", "car_park")
        self.sensors = self._gauge("sensors", "Sensors by their health.", "domain", "state")
        self.missing_upstream = self._gauge(
            "missing_upstream_messages", "Messages of its bays that were lost before they reached us.", "car_park"
        )
        self._health_shown_at = NEVER
        self._noise_shown: Mapping[str, Noisy] = {}
        self._show_zeros()

    def committed(self, outcome: Outcome, seconds: float, now: float) -> None:
        """Count what a batch came to that took so long to commit."""
        self.last_commit.set(now)
        self.commit_seconds.observe(seconds)
        if outcome.tallies:
            self.batch_readings.observe(sum(tally.readings for tally in outcome.tallies.values()))
        for route, tally in outcome.tallies.items():
            self.messages.labels(route).inc(tally.messages)
            for name in OUTCOMES:
                self.readings.labels(route, name).inc(getattr(tally, name))
        for reason, count in outcome.dead_letters.items():
            self.dead_letters.labels(reason).inc(count)

    def show_figures(self, codes: Sequence[str], figures: Records) -> None:
        """Show the live figures of the car parks."""
        for code, free, stale in zip(codes, figures["free"].tolist(), figures["stale"].tolist(), strict=False):
            self.car_park_free.labels(code).set(free)
            self.car_park_stale.labels(code).set(stale)

    def show_health(self, codes: Sequence[str], health: Health) -> None:
        """Show the health of the sensors, once it is judged anew."""
        if health.judged_at == self._health_shown_at:
            return
        self._health_shown_at = health.judged_at
        for domain, counts in (health.counts or {}).items():
            for state, count in zip(STATES, counts, strict=True):
                self.sensors.labels(domain, state).set(count)
        for code, missing in zip(codes, health.missing.tolist(), strict=True):
            self.missing_upstream.labels(code).set(missing)

    def show_noise(self, layout: Layout, noisy: Mapping[str, Noisy]) -> None:
        """Name the noisy sources by their assets; homes are one."""
        if noisy == self._noise_shown:
            return
        self._noise_shown = noisy
        self.noisy.clear()
        for topic, (_, rate) in noisy.items():
            sensor = layout.sensor_of(topic)
            self.noisy.labels(Domain.DWELLINGS if sensor == NO_ASSET else layout.terms.assets[sensor]).inc(rate)

    def forget_figures(self) -> None:
        """Forget the car parks shown: the registry may have others now."""
        self.car_park_free.clear()
        self.car_park_stale.clear()
        self.missing_upstream.clear()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"arceaux_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"arceaux_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"arceaux_{name}", text, registry=self.registry, buckets=buckets)

    def _show_zeros(self) -> None:
        """Make every labelled series exist from the start: a rate over a series that appears late misses its rise."""
        for route in ROUTES:
            self.messages.labels(route)
            for outcome in OUTCOMES:
                self.readings.labels(route, outcome)
        for reason in Reason:
            self.dead_letters.labels(reason)
        for domain in Domain:
            for state in STATES:
                self.sensors.labels(domain, state)
