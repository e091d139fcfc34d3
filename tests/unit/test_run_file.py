"""The file of a run: written line by line, read back whole or cut."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.faults import ConfigurationError
from simulators.runs.run_file import Mark, RunFile, read_run
from simulators.runs.stream import Plan

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(
        kind="city",
        seed=7,
        begin=NOON,
        duration=60,
        processes=2,
        registry=tmp_path / "registry.toml",
        registry_digest="a",
    )


def mark(process: int, second: int, last: int, *, ended: bool = False) -> Mark:
    """Tell that a process has sent a message more than is acknowledged."""
    at = NOON + timedelta(seconds=second)
    return Mark(process=process, at=at, sent=last + 2, acknowledged=[(0, last)], ended=ended)


@pytest.fixture
def path(tmp_path: Path, plan: Plan) -> Path:
    path = tmp_path / "a.run"
    with RunFile(path, plan) as file:
        for one in (mark(0, 1, 10), mark(1, 1, 20), mark(0, 2, 30), mark(1, 2, 40), mark(0, 3, 50, ended=True)):
            file.mark(one)
    return path


def test_a_run_is_read_as_it_was_written(path: Path, plan: Plan) -> None:
    """The plan, and of each process the newest mark."""
    run = read_run(path)
    assert run.plan == plan
    assert [list(run.acknowledged[process].pairs()) for process in (0, 1)] == [[(0, 50)], [(0, 40)]]
    assert run.sent == {0: 52, 1: 42}
    assert (run.started, run.seen) == (NOON + timedelta(seconds=1), NOON + timedelta(seconds=3))
    assert not run.has_ended


def test_a_run_has_ended_where_each_process_has(path: Path) -> None:
    with path.open("a") as file:
        file.write(mark(1, 4, 60, ended=True).model_dump_json() + "\n")
    assert read_run(path).has_ended


def test_a_cut_file_is_a_run_that_is_not_so_far(path: Path, plan: Plan) -> None:
    """Wherever a crash cuts it after its first line: what is whole counts, and nothing is made up."""
    content = path.read_bytes()
    head = content.index(b"\n") + 1
    for end in range(head, len(content)):
        path.write_bytes(content[:end])
        run = read_run(path)
        lines = content[head:end].decode().split("\n")[:-1]
        newest = {one.process: one.sent for one in map(Mark.model_validate_json, lines)}
        assert run.plan == plan
        assert run.sent == {0: 0, 1: 0} | newest


@pytest.mark.parametrize("content", ["", "{}\n", "soon\n", "\xff\n", '{"plan": 1}\n{"process": 0}\n'])
def test_what_is_no_run_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not the file of a run"):
        read_run(path)


def test_a_mark_of_a_process_that_is_none_is_no_run(path: Path) -> None:
    with path.open("a") as file:
        file.write(mark(2, 4, 60).model_dump_json() + "\n")
    with pytest.raises(ConfigurationError, match="not the file of a run"):
        read_run(path)


def test_a_file_is_never_written_over(path: Path, plan: Plan, tmp_path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"--run: .* is there already"):
        RunFile(path, plan)
    assert path.read_bytes() == before
    with pytest.raises(ConfigurationError, match=r"--run: .* cannot be written"):
        RunFile(tmp_path / "nowhere/a.run", plan)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_run(tmp_path / "none")
