"""A flood of dead letters ends as a bounded number of rows, with every reading accounted for."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import LAYOUT, MINUTE, NOW, TOPICS, deliver

from processors.dead_letters import DeadLetter, dead_letters
from processors.quota import MOST_A_MINUTE, Quota
from processors.rejects import Reject
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route

BAY = TOPICS.spot("ANTI", "P-01")
OTHER_BAY = TOPICS.spot("ANTI", "P-02")


def letters_of(deliveries: list[Delivery], reason: Reason = Reason.MALFORMED_PAYLOAD) -> tuple[DeadLetter, ...]:
    """Reject every message for one reason."""
    routes = [LAYOUT.topics.parse(delivery.topic).route for delivery in deliveries]
    rejects = [Reject(index, route, reason, "why") for index, route in enumerate(routes)]
    return dead_letters(rejects, deliveries, LAYOUT)


def flood(topic: str, first: int, size: int, at: int = NOW) -> list[Delivery]:
    """Give so many different messages of one topic."""
    return [deliver(topic, str(number).encode(), received_at=at) for number in range(first, first + size)]


def test_a_flood_of_one_source_becomes_a_hundred_rows_and_a_summary() -> None:
    """Over several batches of one minute: the rest is one row that counts it."""
    quota, rows, digests, seen = Quota(), 0, set(), 0
    for begin in range(0, 300, 60):
        rationed = quota.ration(letters_of(flood(BAY, begin, 60)), set())
        quota = rationed.quota
        rows += len(rationed.rows)
        digests |= {letter.digest for letter in rationed.summaries}
        seen += sum(letter.seen for letter in rationed.summaries)
    assert (rows, len(digests), seen) == (MOST_A_MINUTE, 1, 300 - MOST_A_MINUTE)


def test_a_summary_keeps_nothing_but_source_and_reason() -> None:
    """No payload and no size; the topic is that of the source."""
    rationed = Quota().ration(letters_of(flood(BAY, 0, 101)), set())
    (summary,) = rationed.summaries
    assert (summary.payload, summary.size, summary.topic, summary.seen) == (None, 0, BAY, 1)


def test_every_source_and_reason_and_minute_has_a_quota_of_its_own() -> None:
    """One that floods takes nothing from the others."""
    quota = Quota().ration(letters_of(flood(BAY, 0, 150)), set()).quota
    assert not quota.ration(letters_of(flood(OTHER_BAY, 0, 100)), set()).summaries
    assert not quota.ration(letters_of(flood(BAY, 0, 100), Reason.SCHEMA_VIOLATION), set()).summaries
    assert not quota.ration(letters_of(flood(BAY, 200, 100, NOW + MINUTE)), set()).summaries
    assert len(quota.ration(letters_of(flood(BAY, 200, 100)), set()).summaries) == 1


def test_all_that_is_not_registered_is_one_source_a_route() -> None:
    """Whoever invents topics gets no row for each of them."""
    for topics in (
        [TOPICS.spot("ANTI", f"X-{number}") for number in range(150)],
        [TOPICS.count(f"X{number}") for number in range(150)],
        [f"city/parking/{number}/nothing" for number in range(150)],
    ):
        rationed = Quota().ration(letters_of([deliver(topic, b"{}") for topic in topics]), set())
        assert (len(rationed.rows), len(rationed.summaries)) == (MOST_A_MINUTE, 1)
        assert rationed.summaries[0].topic not in topics


def test_a_repeat_of_what_is_held_costs_nothing() -> None:
    """It is a repeat of its row, whatever the quota, and takes nothing of it."""
    letters = letters_of(flood(BAY, 0, 250))
    first = Quota().ration(letters, set())
    held = {letter.digest for letter in first.rows}
    again = first.quota.ration(letters, held)
    assert [letter.digest for letter in again.rows] == [letter.digest for letter in first.rows]
    assert again.quota == first.quota


def test_repeats_in_a_batch_of_what_is_not_kept_are_counted_as_seen() -> None:
    """What no row holds has no duplicates: every copy counts."""
    full = Quota().ration(letters_of(flood(BAY, 0, 100)), set()).quota
    (summary,) = full.ration(letters_of([deliver(BAY, b"same")] * 7), set()).summaries
    assert summary.seen == 7


@given(
    st.lists(
        st.tuples(st.sampled_from([BAY, OTHER_BAY, "city/parking/x"]), st.integers(0, 400), st.integers(0, 2)),
        max_size=400,
    ),
    st.integers(1, 50),
)
def test_rows_are_bounded_and_every_reading_is_counted_once(messages: list[tuple[str, int, int]], size: int) -> None:
    """Whatever arrives in whatever batches: a hundred rows a minute, source and reason, and nothing vanishes."""
    quota = Quota()
    held: dict[bytes, int] = {}
    rows: Counter[tuple[str, int]] = Counter()
    readings = repeats = 0
    for begin in range(0, len(messages), size):
        part = sorted(messages[begin : begin + size], key=lambda message: message[2])
        deliveries = [deliver(topic, str(n).encode(), received_at=NOW + late * MINUTE) for topic, n, late in part]
        rationed = quota.ration(letters_of(deliveries), held.keys())
        quota = rationed.quota
        for letter in rationed.rows:
            is_new = letter.digest not in held
            rows[letter.source, letter.received_at // MINUTE] += is_new
            readings += is_new
            repeats += letter.repeats + (not is_new)
            held[letter.digest] = 1
        readings += sum(letter.seen for letter in rationed.summaries)
    assert readings + repeats == len(messages)
    # Once three minutes apart, the batch of an earlier minute may begin anew; real ones arrive in order.
    assert max(rows.values(), default=0) <= 2 * MOST_A_MINUTE


def test_memory_of_a_quota_is_bounded() -> None:
    """Only the newest two minutes are remembered."""
    quota = Quota()
    for minute in range(100):
        quota = quota.ration(letters_of(flood(BAY, minute, 3, NOW + minute * MINUTE)), set()).quota
    assert len(quota.used) == 2


def test_a_homes_messages_are_one_source_of_their_route() -> None:
    """The source of a home is its topic with the pseudonym."""
    home = TOPICS.senml("hut-01")
    (letter,) = letters_of([deliver(home, b"[{}]")])
    assert letter.source == TOPICS.senml(LAYOUT.privacy.pseudonyms["hut-01"])
    assert letter.route is Route.SENML
