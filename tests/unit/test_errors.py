"""What a database error asks for, by SQLSTATE."""

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import Verdict, describe, judge

RETRIED = [
    *("08000", "08001", "08003", "08004", "08006", "08007"),
    *("25006", "25P03", "40001", "40003", "40P01"),
    *("53000", "53100", "53200", "53300", "53400"),
    *("55006", "55P03", "57P01", "57P02", "57P03", "57P05"),
    *("58000", "58030", "58P01", "58P02"),
]
ISOLATED = [
    *("22000", "22001", "22003", "22008", "22021", "22P02", "22P03"),
    *("23000", "23502", "23503", "23505", "23514", "23P01", "21000"),
]
STOPPED = [
    *("28000", "28P01", "3D000", "42501", "42601", "42703", "42P01", "42804", "08P01"),
    *("25001", "25P02", "40002", "40000", "54000", "55000", "55P02", "57000", "57P04", "0A000", "XX001", "XX002"),
    *("P0001", "99999", "ABCDE", "00000", "F0000", "HV000", "3F000", "02000", "24000"),
]


def refused(state: str | None, message: str = "no") -> psycopg.Error:
    """Give an error of the server with this SQLSTATE, whether psycopg knows it or not."""
    kind = type("ServerError", (psycopg.DatabaseError,), {"sqlstate": state})
    error = kind(message)
    assert isinstance(error, psycopg.Error)
    return error


@pytest.mark.parametrize("tries", [1, 4, 1000])
@pytest.mark.parametrize(
    ("verdict", "states"),
    [(Verdict.RETRY, RETRIED), (Verdict.ISOLATE, ISOLATED), (Verdict.STOP, STOPPED)],
    ids=["retry", "isolate", "stop"],
)
def test_the_class_of_an_sqlstate_decides(verdict: Verdict, states: list[str], tries: int) -> None:
    """What passes is tried again for ever, what a reading is to blame for is isolated, all else stops."""
    for state in states:
        assert judge(refused(state), tries) is verdict, state


def test_a_statement_that_takes_too_long_three_times_asks_for_half_the_batch() -> None:
    """Once or twice may be the server's bad moment; from the third time on the batch is too large for it."""
    verdicts = [judge(refused("57014"), tries) for tries in (1, 2, 3, 4, 1000)]
    assert verdicts == [Verdict.RETRY, Verdict.RETRY, Verdict.HALVE, Verdict.HALVE, Verdict.HALVE]


@pytest.mark.parametrize("state", ["08006", "08P01", "22003", "23505", "40P01", "42P01", "53100", "57P01"])
def test_errors_as_psycopg_raises_them_are_judged_alike(state: str) -> None:
    """The driver's own class of an SQLSTATE makes no difference."""
    assert judge(psycopg.errors.lookup(state)("no"), 1) is judge(refused(state), 1)


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=5, max_size=5))
def test_an_unknown_sqlstate_stops(state: str) -> None:
    """Guessing would lose data: only what is listed is tried again or isolated."""
    listed = state.startswith(("08", "53", "58", "21", "22", "23")) or state in {*RETRIED, "57014", "XX000"}
    assert (judge(refused(state), 1) is Verdict.STOP) == (not listed or state == "08P01")


def test_an_internal_error_is_tried_five_times() -> None:
    """XX000 may pass, or be a bug of the server that comes again and again."""
    verdicts = [judge(refused("XX000"), tries) for tries in range(1, 8)]
    assert verdicts == [Verdict.RETRY] * 4 + [Verdict.STOP] * 3


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("server closed the connection unexpectedly"),
        psycopg.OperationalError(),
        psycopg.InterfaceError("the connection is closed"),
        psycopg.errors.ConnectionTimeout("connection timeout expired"),
        ConnectionRefusedError(111, "refused"),
        ConnectionResetError(),
        OSError("no route to host"),
        TimeoutError(),
    ],
)
def test_a_server_out_of_reach_is_tried_again(error: Exception) -> None:
    """An error that no server sent is a connection that failed."""
    for tries in (1, 1000):
        assert judge(error, tries) is Verdict.RETRY


@pytest.mark.parametrize(
    "error",
    [OverflowError("free: a value does not fit"), TypeError("no"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no")],
)
def test_data_that_the_driver_cannot_send_is_isolated(error: Exception) -> None:
    """What never reached the server is to blame on a reading too."""
    assert judge(error, 1) is Verdict.ISOLATE


@pytest.mark.parametrize("error", [RuntimeError("bug"), ValueError(), KeyError("x"), psycopg.ProgrammingError("bug")])
def test_a_bug_stops(error: Exception) -> None:
    """An error that is neither the server's nor the data's is not tried again."""
    assert judge(error, 1) is Verdict.STOP


def test_an_error_is_described_in_one_line_without_its_data() -> None:
    """The server's DETAIL repeats the row, which may be private."""
    error = refused("23505", 'duplicate key value violates unique constraint "k"\nDETAIL:  Key (name)=(s3cr3t) exists.')
    assert describe(error) == 'duplicate key value violates unique constraint "k" (SQLSTATE 23505)'
    assert describe(OSError("no route to host")) == "no route to host"


@pytest.mark.parametrize("error", [TimeoutError(), psycopg.OperationalError(), psycopg.OperationalError(" \n ")])
def test_an_error_without_a_message_is_described_by_its_name(error: Exception) -> None:
    """No log line is empty."""
    assert describe(error) == type(error).__name__
