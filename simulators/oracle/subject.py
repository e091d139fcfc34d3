"""What is verified: a run, and where its traces are."""

from dataclasses import dataclass
from datetime import timedelta

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.settings import Settings
from schemas.topics import Topics
from simulators.oracle.origins import pseudonyms
from simulators.runs.run_file import Run
from simulators.runs.stream import digest

CLOCKS = timedelta(seconds=60)
"""By how much the clock of whoever ran the fleet and the service's may differ."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is verified: a run, the registry it was made from, and where its traces are."""

    run: Run
    registry: Registry
    settings: Settings

    @property
    def topics(self) -> Topics:
        """The topics of the run."""
        return Topics(self.run.plan.topic_root)

    def check(self) -> None:
        """Raise ConfigurationError where the run cannot be made again, or not be found."""
        plan = self.run.plan
        if digest(self.settings.registry) != plan.registry_digest:
            raise ConfigurationError(
                f"{self.settings.registry} is another registry than that of the run, or has changed since "
                f"({plan.registry}): another registry makes another city; set ARCEAUX_REGISTRY"
            )
        if plan.topic_root != self.settings.topic_root:
            raise ConfigurationError(f"the run was below {plan.topic_root}: set ARCEAUX_TOPIC_ROOT={plan.topic_root}")
        if self.run.started is None:
            raise ConfigurationError("the run's file has no mark yet: nothing was sent")


def secrets_of(subject: Subject) -> dict[str, str]:
    """Give the pseudonyms of the run's homes. Raises ConfigurationError without a key."""
    if subject.run.plan.kind == "parking" or not subject.registry.dwelling:
        return {}
    path = subject.settings.pseudonym_key_file
    if path is None:
        raise ConfigurationError("ARCEAUX_PSEUDONYM_KEY_FILE is not set: without the key no home is found")
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); set ARCEAUX_PSEUDONYM_KEY_FILE") from None
    return dict(pseudonyms(subject.registry, key))
