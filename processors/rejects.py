"""What cannot be used, as data: a reject becomes a dead letter."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.reasons import Reason
from schemas.topics import Route

DETAIL_LENGTH: Final = 200
UNROUTABLE: Final = "no message is expected on this topic; see docs/formats.md"
"""The detail of a topic that leads nowhere."""
WHOLE: Final = -1
"""Of a reject that stands for its whole message, not for one record of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted: payload size in bytes, and microseconds of time before and after arrival."""

    max_payload_bytes: int
    max_lateness: int
    max_future: int

    def check_size(self, payload: bytes) -> None:
        """Raise RejectedError for a payload that is too large."""
        if len(payload) > self.max_payload_bytes:
            raise RejectedError(Reason.PAYLOAD_TOO_LARGE, f"{len(payload)} bytes, more than {self.max_payload_bytes}")


class Reject(NamedTuple):
    """A reading that becomes a dead letter: its message's index in the batch, its record there, and why.

    Without `is_kept` nothing of its payload may be kept: it is only counted.
    """

    delivery: int
    route: Route
    reason: Reason
    detail: str
    record: int = WHOLE
    is_kept: bool = True


class RejectedError(Exception):
    """A message that is rejected whole; without `is_kept` nothing of its payload may be kept."""

    def __init__(self, reason: Reason, detail: str, *, is_kept: bool = True) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.is_kept = is_kept
