"""What ends the service, and what a database error asks for."""

from enum import Enum
from typing import Final

import psycopg


class ArceauxError(Exception):
    """Something failed at run time; the message says what, and what to do."""


class LeaseLostError(ArceauxError):
    """Another process took over under this client id; nothing more is acknowledged here."""


class OutdatedBatchError(ArceauxError):
    """The registry changed: the batch has to be decoded again before it may be written."""


class OutdatedLayoutError(OutdatedBatchError):
    """Homes were erased, readmitted or withdrawn by somebody else: the layout has to be loaded again first."""


class SlowBatchError(ArceauxError):
    """The database cancels a batch again and again for taking too long: half of it may pass."""


class Verdict(Enum):
    """What to do about a database error."""

    RETRY = "retry"
    HALVE = "halve"
    ISOLATE = "isolate"
    STOP = "stop"


_PROTOCOL_VIOLATION: Final = "08P01"
"""Of class 08 and yet no lost connection: a COPY whose columns do not fit."""
_STATEMENT_TIMEOUT: Final = "57014"
_STATEMENT_TIMEOUT_TRIES: Final = 3
_INTERNAL_ERROR: Final = "XX000"
_INTERNAL_ERROR_TRIES: Final = 5
_RETRIED: Final = (
    "08",  # the connection
    "25006",  # read-only: a demoted primary
    "25P03",  # idle in transaction for too long
    "40001",  # serialization failure
    "40003",  # completion unknown; the fence tells
    "40P01",  # deadlock
    "53",  # out of disk, memory or connections
    "55006",  # object in use
    "55P03",  # lock not available
    "57014",  # statement timeout
    "57P01",  # server shutting down
    "57P02",  # server crashed
    "57P03",  # server starting up
    "57P05",  # idle for too long
    "58",  # the system under the server
)
_ISOLATED: Final = ("22", "23", "21")
_DRIVER_DATA_ERRORS: Final = (OverflowError, TypeError, UnicodeEncodeError, psycopg.DataError)
_UNREACHED: Final = (OSError, TimeoutError, psycopg.OperationalError, psycopg.InterfaceError)


def judge(error: Exception, tries: int) -> Verdict:
    """Judge a database error by its SQLSTATE; what is unknown stops, since guessing would lose data.

    `tries` counts how often this batch was tried, the failed one included.
    """
    if isinstance(error, _DRIVER_DATA_ERRORS):
        return Verdict.ISOLATE
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state is None:
        return Verdict.RETRY if isinstance(error, _UNREACHED) and not _is_refusal(error) else Verdict.STOP
    if state == _INTERNAL_ERROR and tries < _INTERNAL_ERROR_TRIES:
        return Verdict.RETRY
    if state == _STATEMENT_TIMEOUT and tries >= _STATEMENT_TIMEOUT_TRIES:
        return Verdict.HALVE
    if state.startswith(_RETRIED) and state != _PROTOCOL_VIOLATION:
        return Verdict.RETRY
    return Verdict.ISOLATE if state.startswith(_ISOLATED) else Verdict.STOP


def _is_refusal(error: Exception) -> bool:
    """Tell a server that answered no from one that did not answer: at a connect libpq gives neither a SQLSTATE."""
    return any(words in str(error) for words in ("authentication failed", "does not exist", "no pg_hba.conf entry"))


def describe(error: Exception) -> str:
    """Tell an error in one line, without the server's DETAIL, which repeats data."""
    text = str(error).strip().split("\n", 1)[0]
    state = getattr(error, "sqlstate", None)
    return f"{text or type(error).__name__}" + (f" (SQLSTATE {state})" if state else "")
