"""docs/replay.md and the code: what is shown there can be done, and gives what it says."""

import inspect
import re
import shlex
from datetime import timedelta
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup
from unit.pages import DOCS, ROOT, first_names, page, section, table

from ingest.cli import app
from schemas.registry import load_registry
from schemas.topics import Route, Topics
from simulators.captures.lines import Captured, Recording, header_line, message_line, read_line
from simulators.captures.record import _summary
from simulators.captures.shifting import _TIMES
from simulators.readers import CAPTURE, READERS, TABLE
from simulators.readers.table import read_table
from simulators.replaying.options import Written, check_options
from simulators.replaying.plan import Addresses, write_script
from simulators.replaying.replay import Replay, ReplayOptions

REGISTRY = load_registry(ROOT / "deploy/registry.toml")


def arguments(command: str) -> Written:
    """Read a command line as the program does."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    words = shlex.split(command)
    assert words[:2] == ["arceaux", "replay"]
    parsed = group.commands["replay"].make_context("replay", words[2:]).params
    return Written(**{name: value for name, value in parsed.items() if value is not None})


def examples() -> list[tuple[str, str, str]]:
    """Give the tables that the page shows: name, content, and the command that plays it."""
    found = re.findall(
        r"from `([\w.]+)`.*?```\n(.*?)```\n\n```\n(.*?)\n```", section(page("replay.md"), "### `csv`"), re.DOTALL
    )
    assert len(found) == 4
    return found


EXPECTED = {
    "counts.csv": [
        ("city/parking/ANTI/count", b'{"free":163,"total":239,"status":"Open","time":"2023-01-13T07:00:00Z"}'),
        ("city/parking/ANTI/count", b'{"free":158,"total":239,"status":"Open","time":"2023-01-13T07:05:00Z"}'),
    ],
    "bays.csv": [
        ("city/parking/ANTI/spots/P-001", b'{"occupied":true,"time":"2023-01-13T08:00:00Z"}'),
        ("city/parking/ANTI/spots/P-001", b'{"occupied":false,"time":"2023-01-13T08:12:30Z"}'),
    ],
    "rows.csv": [
        ("city/dwellings/hut-01/senml", b'[{"bt":1673596800,"n":"kitchen/temperature","u":"Cel","v":19.5}]'),
        ("city/dwellings/hut-01/senml", b'[{"bt":1673596800,"n":"kitchen/humidity","u":"%RH","v":41.0}]'),
    ],
    "columns.csv": [
        (
            "city/dwellings/hut-01/senml",
            (
                b'[{"bt":1673593200,"n":"kitchen/temperature","u":"Cel","v":19.5},'
                b'{"n":"kitchen/humidity","u":"%RH","v":41.0}]'
            ),
        ),
        ("city/dwellings/hut-01/senml", b'[{"bt":1673593800,"n":"kitchen/temperature","u":"Cel","v":19.6}]'),
    ],
}


@pytest.mark.parametrize(("name", "content", "command"), examples())
def test_every_table_that_is_shown_is_played_by_its_command(
    name: str, content: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the registry that ships, nothing skipped and no name unknown."""
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(content, encoding="utf-8")
    options = check_options(REGISTRY, arguments(command))
    assert options.table is not None
    script = write_script(
        read_table(options.file, options.table), Addresses(REGISTRY, Topics("city"), options.dwelling)
    )
    assert (script.skipped, dict(script.unknown)) == ([], {})
    assert [(message.topic, message.payload(timedelta(0))[0]) for message in script.messages()] == EXPECTED[name]


def test_every_other_command_that_is_shown_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its options are taken as they stand."""
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^(arceaux replay .*)$", page("replay.md"), re.MULTILINE)
    assert len(shown) >= 10
    for command in shown:
        written = arguments(command)
        written.file.touch() if written.file.suffix else written.file.mkdir(exist_ok=True)
        if not written.file.suffix:
            (written.file / "a.dat").touch()
        check_options(REGISTRY, written)


def test_the_lines_that_are_shown_are_lines_of_a_capture() -> None:
    """Each is read, and would be written as it stands."""
    shown = re.findall(r"^(\{\"a(?:rceaux|t)\".*)$", section(page("replay.md"), "## Captures"), re.MULTILINE)
    kinds = set()
    for line in shown:
        read = read_line(line.encode())
        again = header_line(read) if isinstance(read, Recording) else message_line(read)
        assert again.decode() == f"{line}\n"
        kinds |= {type(read)}
    assert kinds == {Recording, Captured}


def test_the_keys_of_lines_are_told() -> None:
    header, message = re.findall(r"\| key of a .*?\n\n", section(page("replay.md"), "## Captures"), re.DOTALL)
    assert first_names(header) == ["arceaux", "version", *Recording.model_fields]
    assert first_names(message) == ["at", "topic", "payload", "base64", "retain"]


def test_every_reader_is_told() -> None:
    """With a section of its own."""
    content = section(page("replay.md"), "## Readers")
    told = first_names(content[: content.index("###")])
    assert sorted(told) == sorted([*READERS, CAPTURE, TABLE])
    assert re.findall(r"^### `(\w+)`$", content, re.MULTILINE) == told


def test_summaries_are_told_key_by_key() -> None:
    """In their order."""
    told = first_names(section(page("replay.md"), "## What arrives"))
    assert told == list(Replay(ReplayOptions(DOCS, "polls")).summary())
    keys = re.findall(r'^        "(\w+)":', inspect.getsource(_summary), re.MULTILINE)
    assert first_names(section(page("replay.md"), "## Recording")) == keys


def test_the_formats_whose_times_are_shifted_are_told() -> None:
    rows = table(section(page("replay.md"), "## Pace and times"))
    assert len(rows) == len({*_TIMES, Route.SENML}) - 1, "bays and counters share a row"
