"""The doctor's findings as text: aligned, wrapped, escaped, counted."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.doctor.report import (
    STATUS_WIDTH,
    Status,
    has_problem,
    lines,
    ok,
    plural,
    problem,
    shown,
    some,
    summary,
    unknown,
    warning,
)

CHECKS = (
    ok("broker", "fine"),
    warning("database", "so so", "do this"),
    problem("clock", "bad " * 30, "do that " * 20),
    unknown("topics", "who knows"),
)


def test_found_stands_in_one_column_and_remedies_below_it() -> None:
    """Status and name are padded, so that what was found begins in one column; a remedy is indented as far."""
    written = [line for _, line in lines(CHECKS)]
    assert written[:4] == [
        "ok       broker    fine",
        "warning  database  so so",
        "                   -> do this",
        f"problem  clock     {'bad ' * 30}",
    ]
    assert len(written) == len(CHECKS) + 2


def test_a_terminal_gets_lines_that_fit() -> None:
    """Wrapped lines go on in the column of what was found, and are no wider than the terminal."""
    for status, text in lines(CHECKS, 60):
        first, *rest = text.splitlines()
        assert all(len(line) <= 60 for line in (first, *rest))
        assert all(line.startswith(" " * 19) for line in rest)
        assert status is None or first[:STATUS_WIDTH].strip() == status


def test_the_summary_counts_every_check() -> None:
    """Worst first, and each status counted."""
    assert summary(CHECKS) == "1 problem, 1 warning, 1 unknown, 1 ok"
    assert summary(CHECKS[:1] * 3) == "0 problems, 0 warnings, 0 unknown, 3 ok"
    assert summary(()) == "0 problems, 0 warnings, 0 unknown, 0 ok"


def test_only_a_problem_is_a_failure() -> None:
    """Neither a warning nor what could not be checked fails the command."""
    assert has_problem(CHECKS)
    assert not has_problem([check for check in CHECKS if check.status is not Status.PROBLEM])


@given(st.text(max_size=300))
def test_a_name_from_outside_cannot_steer_a_terminal(name: str) -> None:
    """Whatever somebody named a topic, it prints, and it is short."""
    assert shown(name).isprintable()
    assert len(shown(name)) <= 80


def test_a_short_name_is_shown_as_it_is() -> None:
    """Nothing is escaped or cut that need not be."""
    assert shown("city/parking/Comédie/count") == "city/parking/Comédie/count"
    assert shown("a\x1b[31mb\u202e") == "a\\x1b[31mb\\u202e"
    assert shown("x" * 80) == "x" * 80
    assert shown("x" * 81) == "x" * 79 + "…"


def test_counts_and_lists_read_well() -> None:
    """One has no s; a long list says how many more there are."""
    assert (plural(1, "bay"), plural(0, "bay"), plural(1234, "bay")) == ("1 bay", "0 bays", "1,234 bays")
    assert some(["a", "b"]) == "a, b"
    assert some([str(number) for number in range(12)]).endswith("8, 9 and 2 more")
