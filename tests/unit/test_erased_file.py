"""The list of erased homes that is kept apart: the newest event counts, and a torn line never happened."""

import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.privacy.erased_file import NEVER_ERASED, ErasedFile, Standing
from schemas.faults import ConfigurationError

AT = datetime(2026, 11, 21, 22, tzinfo=UTC)
MARKS = [bytes([number]) * 32 for number in range(3)]
MOMENTS = st.integers(0, 5).map(lambda n: AT + timedelta(microseconds=n))
EVENTS = st.tuples(
    st.sampled_from(MARKS),
    MOMENTS.map(lambda at: Standing(erased_at=at)) | MOMENTS.map(lambda at: Standing(readmitted_at=at)),
)


@given(st.lists(EVENTS, max_size=12))
def test_the_newest_event_of_a_home_counts(events: Sequence[tuple[bytes, Standing]]) -> None:
    """In whatever order they were written; of two at one moment the erasure."""
    with TemporaryDirectory() as directory:
        file = ErasedFile(Path(directory) / "erased")
        for mark, standing in events:
            file.append({mark: standing})
        found = file.read()
    assert found.keys() == {mark for mark, _ in events}
    for mark, standing in found.items():
        erased = [event.erased_at for told, event in events if told == mark and event.erased_at]
        readmitted = [event.readmitted_at for told, event in events if told == mark and event.readmitted_at]
        assert standing == (max(erased, default=None), max(readmitted, default=None))
        assert standing.is_erased == (max(erased, default=datetime.min.replace(tzinfo=UTC)) >= max([AT, *readmitted]))


@given(st.lists(EVENTS, min_size=1, max_size=4), st.data())
def test_what_was_cut_off_while_it_was_written_is_left_out(
    events: Sequence[tuple[bytes, Standing]], data: st.DataObject
) -> None:
    """And stands in nobody's way: the next event is read, and so are those before."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "erased"
        file = ErasedFile(path)
        for mark, standing in events[:-1]:
            file.append({mark: standing})
        before, whole = file.read(), path.read_bytes() if path.exists() else b""
        file.append(dict(events[-1:]))
        cut = data.draw(st.integers(len(whole), len(path.read_bytes()) - 1))
        path.write_bytes(path.read_bytes()[:cut])
        assert file.read() == before
        file.append(dict(events[-1:]))
        mark, standing = events[-1]
        assert file.read() == {**before, mark: standing.joined(before.get(mark, NEVER_ERASED))}


def test_it_is_for_its_owner_alone_and_absent_until_there_is_something(tmp_path: Path) -> None:
    """To read it makes no file."""
    file = ErasedFile(tmp_path / "erased")
    assert file.read() == {}
    assert not (tmp_path / "erased").exists()
    file.append({MARKS[0]: Standing(erased_at=AT)})
    assert stat.S_IMODE((tmp_path / "erased").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "line",
    ["", "now erased " + "0" * 64, "2026-11-21T22:00:00 erased " + "0" * 64, "2026-11-21T22:00:00Z lost x", "\0"],
)
def test_a_line_that_is_none_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    """A file that is another, or was edited, must not be taken for one that says nothing."""
    path = tmp_path / "erased"
    path.write_text(f"2026-11-21T22:00:00Z erased {'0' * 64}\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"line 2: expected a time") as error:
        ErasedFile(path).read()
    assert "restore the file" in str(error.value)


def test_a_place_that_cannot_be_written_or_read_is_said(tmp_path: Path) -> None:
    """By the name of the setting."""
    for place in (tmp_path, tmp_path / "none" / "erased"):
        with pytest.raises(ConfigurationError, match=r"ARCEAUX_ERASED_FILE: .*cannot be written"):
            ErasedFile(place).append({MARKS[0]: Standing(erased_at=AT)})
    with pytest.raises(ConfigurationError, match=r"ARCEAUX_ERASED_FILE: .*cannot be read"):
        ErasedFile(tmp_path).read()
