"""The file of a run: its plan, and what of it the broker has acknowledged, so that it can be verified.

JSON, a line each time. The first line is the plan. Each further one tells how far one process is: all that was
acknowledged so far, so that its newest line counts, and a line that a crash has cut is one that is not there.
"""

from datetime import datetime
from pathlib import Path
from typing import IO, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from schemas.faults import ConfigurationError
from simulators.runs.ranges import Ranges
from simulators.runs.stream import Plan


class Mark(BaseModel):
    """How far a process is at a time by our clock; `acknowledged` are ranges of messages by their number in it.

    `sent` is how many were handed over, the last of them perhaps not. `ended` is true in a process' last line, where
    it came to its end or was told to stop.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: int
    at: AwareDatetime
    sent: int
    acknowledged: list[tuple[int, int]]
    ended: bool = False


class Run:
    """A run as its file tells it. `started` and `seen` are the times of the first and the newest mark."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.acknowledged = {process: Ranges() for process in range(plan.processes)}
        self.sent = dict.fromkeys(range(plan.processes), 0)
        self.started: datetime | None = None
        self.seen: datetime | None = None
        self._ended: set[int] = set()

    @property
    def has_ended(self) -> bool:
        """Whether every process told its end."""
        return len(self._ended) == self.plan.processes

    def take(self, mark: Mark) -> None:
        """Take a mark up, in the order of the file. Raises ValueError where the plan has no such process."""
        if mark.process not in self.sent:
            raise ValueError(mark.process)
        self.acknowledged[mark.process] = Ranges(mark.acknowledged)
        self.sent[mark.process] = mark.sent
        self.started = self.started or mark.at
        self.seen = mark.at
        if mark.ended:
            self._ended.add(mark.process)


class RunFile:
    """A file that is being written."""

    def __init__(self, path: Path, plan: Plan) -> None:
        """Begin a new file. Raises ConfigurationError where there is one, or none can be made."""
        try:
            self._file: IO[str] = path.open("x", encoding="utf-8")
        except FileExistsError:
            raise ConfigurationError(f"--run: {path} is there already; name another file, or remove it") from None
        except OSError as error:
            raise ConfigurationError(f"--run: {path} cannot be written ({error.strerror})") from None
        self._write(plan)

    def mark(self, mark: Mark) -> None:
        """Note how far a process is."""
        self._write(mark)

    def close(self) -> None:
        """End."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: BaseModel) -> None:
        self._file.write(line.model_dump_json() + "\n")
        self._file.flush()


def read_run(path: Path) -> Run:
    """Read a run's file. Raises ConfigurationError for what is none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from None
    lines = content.split(b"\n")
    try:
        run = Run(Plan.model_validate_json(lines[0]))
        for line in lines[1:-1]:  # what stands after the last line end was cut, or is nothing
            run.take(Mark.model_validate_json(line))
    except ValueError:  # which pydantic's are, too
        raise ConfigurationError(f"{path}: not the file of a run; `arceaux simulate --run FILE` writes one") from None
    return run
