"""What an audit says, from counts alone."""

from ingest.audit import Audit, Balance, Counts, compare
from ingest.audit_report import as_json, as_text

NOTHING_HELD = dict.fromkeys(("parking_event", "parking_count", "dwelling_reading", "dead_letter"), 0)


def test_a_database_without_readings_balances() -> None:
    """Nothing booked and nothing held is in order."""
    found = Audit(compare(Counts({}, NOTHING_HELD, {}, {})), ())
    assert found.is_right
    assert as_text(found).count("balances") == len(found.balances)


def test_a_removal_of_less_than_nothing_is_wrong_though_it_balances() -> None:
    """Who makes up for rows written by hand with a negative removal is found out."""
    ledger = {"spot": {"readings": 0, "stored": 0, "duplicate": 0, "dead_lettered": 0, "refused": 0}}
    held = {**NOTHING_HELD, "parking_event": 5}
    found = Audit(compare(Counts(ledger, held, {"parking_event": -5}, {})), ())
    assert [balance.name for balance in found.balances if not balance.is_right] == ["stored", "parking_event"]
    assert not found.is_right
    assert as_text(found).count("WRONG: a count is below zero") == 2


def test_a_wrong_row_of_the_ledger_is_shown_with_its_parts() -> None:
    """Text and JSON name minute, worker and route, and what does not add up."""
    row = Balance("2026-05-01 12:00 arceaux spot", 3, {"stored": 1, "duplicate": 1, "dead_lettered": 0, "refused": 0})
    found = Audit(compare(Counts({}, NOTHING_HELD, {}, {})), (row,))
    assert not found.is_right
    assert "2026-05-01 12:00 arceaux spot" in as_text(found)
    assert as_json(found)["readings"]["wrong_rows"] == [
        {"row": row.name, "readings": 3, "stored": 1, "duplicate": 1, "dead_lettered": 0, "refused": 0}
    ]
