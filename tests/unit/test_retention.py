"""When a row is past its time."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from ingest.migrate import HYPERTABLES
from ingest.retention import Rule, rules_of
from schemas.settings import Settings

DAY = timedelta(days=1)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=9)), timezone(-timedelta(hours=7))])


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=ZONES),  # noqa: DTZ001 - `timezones` adds one
    st.timedeltas(DAY, 4000 * DAY),
)
def test_a_row_is_kept_for_its_time_and_less_than_a_day_more(now: datetime, keep: timedelta) -> None:
    """Whole UTC days go, none before its last row is past its time."""
    cutoff = Rule("parking_event", keep).cutoff(now)
    assert now - keep - DAY < cutoff <= now - keep
    assert cutoff == datetime(cutoff.year, cutoff.month, cutoff.day, tzinfo=UTC)


def test_every_table_that_grows_with_time_has_a_rule() -> None:
    """No table is forgotten; dead letters are removed, too."""
    tables = [rule.table for rule in rules_of(Settings.model_construct())]
    assert sorted(tables) == sorted(["dead_letter", *(hypertable.table for hypertable in HYPERTABLES)])


def test_what_may_still_arrive_is_never_past_its_time() -> None:
    """With the defaults a reading that is as late as is accepted has a day before it goes."""
    settings = Settings.model_construct()
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    for rule in rules_of(settings):
        assert rule.table == "dead_letter" or rule.cutoff(now) <= now - settings.max_lateness - DAY
