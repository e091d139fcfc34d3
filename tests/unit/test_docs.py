"""Documentation and code, held together by reading both."""

import ast
import inspect
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
import typer.main
from harness.missing import missing
from typer.core import TyperCommand, TyperGroup
from unit.worlds import GATE, NO_GAP, layout_of

from ingest.cli import app
from ingest.metrics import Metrics
from ingest.sql import load_queries
from processors.decode import decode
from processors.rejects import Limits
from processors.times import to_datetime
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.registry import CarPark, Dwelling, DwellingSensor, Spot, load_registry
from schemas.settings import PREFIX, TIMESCALEDB_ROOT, Settings
from schemas.topics import Topics
from schemas.units import KINDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OUTSIDE_SETTINGS = {TIMESCALEDB_ROOT, "ARCEAUX_TEST_REQUIRE_ALL", "ARCEAUX_TEST_MOSQUITTO"}
REGISTRY_HOSTS = [
    f"{name}.{domain}"
    for name, domain in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("anaconda", "org"),
        ("proxy.golang", "org"),
        ("maven.apache", "org"),
    )
]
KINDS_OF_SENSORS = "These kinds have bounds."
ARRIVED = 1_795_298_405_000_000
"""2026-11-21T22:00:05Z, when the examples of docs/formats.md arrive."""


@cache
def text(path: Path) -> str:
    """Read a file once."""
    return path.read_text(encoding="utf-8")


def page(name: str) -> str:
    """Read a page of docs/."""
    return text(DOCS / name)


def section(content: str, heading: str) -> str:
    """Give what stands under a heading, up to the next one of its level or above."""
    marks = re.escape(heading.split(" ", 1)[0])
    match = re.search(
        rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(marks) // 2}}} |\Z)", content, re.MULTILINE | re.DOTALL
    )
    assert match, f"no heading {heading!r}"
    return match[1]


def table(content: str) -> list[list[str]]:
    """Give the cells of all table rows, without heads and rules; code spans may hold no bar."""
    lines = content.splitlines()
    rows = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not line.startswith("|---") and not following.startswith("|---")
    ]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def names(content: str) -> list[str]:
    """Give all code spans."""
    return re.findall(r"`([^`\n]+)`", content)


def first_names(content: str) -> list[str]:
    """Give the code spans of the first cells of all table rows."""
    return [name for row in table(content) for name in names(row[0])]


def files() -> list[Path]:
    """Give every file that is in the repository or would be, were everything added."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        missing("the git checkout", "apt-get install git, and run the tests in a clone")
    command = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def pages() -> list[Path]:
    """Give every Markdown file of the repository."""
    return [path for path in files() if path.suffix == ".md"]


def test_every_setting_is_told_with_its_default() -> None:
    """The table of settings is the settings: the same names, the same defaults, in the same order."""
    content = page("settings.md")
    told = {row[0].strip("`"): row[1].strip("`") for row in table(content) if len(names(row[1])) == 1}
    settings = {name: default for name, default in told.items() if name not in OUTSIDE_SETTINGS}
    assert settings == Settings.model_construct().shown()
    assert list(settings) == list(Settings.model_construct().shown())


def test_no_page_names_a_setting_that_is_none() -> None:
    """Whatever looks like a setting in any page is one, or is told as one for demo and tests."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OUTSIDE_SETTINGS
    known |= {f"{name}_FILE" for name in known}
    assert set(first_names(page("settings.md"))) >= OUTSIDE_SETTINGS
    for path in pages():
        found = set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", text(path)))
        assert found <= known, path


def metric_names() -> tuple[set[str], set[str]]:
    """Give the names of our metrics as they are scraped, and those of series that belong to one of them."""
    whole, parts = set(), set()
    for family in Metrics().registry.collect():
        if family.name.startswith("arceaux_"):
            whole.add(f"{family.name}_total" if family.type == "counter" else family.name)
            if family.type == "histogram":
                parts |= {f"{family.name}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return whole, parts


def test_every_metric_is_told_with_its_type() -> None:
    """The table of metrics is the metrics, and no other name of ours stands on the page."""
    content = page("metrics.md")
    whole, parts = metric_names()
    kinds = {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in Metrics().registry.collect()
    }
    told = {row[0].strip("`"): row[1] for row in table(content) if row[0].strip("`") in whole}
    assert told == {name: kinds[name] for name in whole}
    assert set(re.findall(r"\barceaux_[a-z_]*[a-z]", content)) <= whole | parts


def test_no_page_names_a_metric_that_is_none() -> None:
    """A metric named anywhere else exists, too."""
    whole, parts = metric_names()
    for path in pages():
        assert set(re.findall(r"\barceaux_[a-z_]*[a-z]", text(path))) <= whole | parts, path


def commands(group: TyperGroup, name: str = "arceaux") -> Iterator[tuple[str, TyperCommand]]:
    """Give every command that does something, by its whole name."""
    for part, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{name} {part}")
        elif isinstance(command, TyperCommand):
            yield f"{name} {part}", command


def command_line() -> dict[str, TyperCommand]:
    """Give all commands of `arceaux`."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return dict(commands(group))


def test_every_command_is_told_with_its_options() -> None:
    """Each command has a heading of its own, and below it exactly its options."""
    content = page("commands.md")
    known = command_line()
    assert {name.strip("`") for name in re.findall(r"^## (`.*`)$", content, re.MULTILINE)} == set(known)
    for name, command in known.items():
        told = [option for option in first_names(section(content, f"## `{name}`")) if option.startswith("--")]
        options = [option for parameter in command.params for option in parameter.opts if option[:2] == "--"]
        options = [option for option in options if option != "--help"]
        assert sorted(told) == sorted(options), name


def test_options_are_told_with_their_defaults() -> None:
    """A default in the table of a command is the command's."""
    content = page("commands.md")
    compared = 0
    for name, command in command_line().items():
        defaults = {parameter.opts[0]: parameter.default for parameter in command.params}
        for option, default, *_ in (row for row in table(section(content, f"## `{name}`")) if len(row) == 3):
            if names(default):
                assert str(defaults[option.strip("`")]) == default.strip("`"), f"{name} {option}"
                compared += 1
    assert compared


def test_the_readme_lists_every_command() -> None:
    """The first page leads to all of them."""
    told = [name for name in first_names(section(text(ROOT / "README.md"), "## Commands")) if "arceaux" in name]
    assert sorted(told) == sorted(command_line())


def test_every_reason_has_a_cause_and_a_remedy() -> None:
    """The table of reasons is the closed set."""
    rows = table(section(page("delivery.md"), "## Dead letters"))
    assert sorted(row[0].strip("`") for row in rows) == sorted(Reason)
    assert all(cause and remedy for _, cause, remedy in rows)


def tables_of_the_schema() -> Mapping[str, list[str]]:
    """Give the columns of every table that the SQL of the project makes."""
    sql = "\n".join(text(path) for path in sorted((ROOT / "schemas/sql").glob("*.sql")))
    sql += f"\n{load_queries('migrate.sql')['create_migration']}"
    made = re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+) \(\n(.*?)^\)", sql, re.MULTILINE | re.DOTALL)
    return {name: re.findall(r"^    ([a-z_]+) ", body, re.MULTILINE) for name, body in made}


def test_every_table_is_told_with_its_columns() -> None:
    """Each table has a heading of its own, and below it exactly its columns."""
    content = page("database.md")
    schema = tables_of_the_schema()
    assert set(re.findall(r"^### `(\w+)`$", content, re.MULTILINE)) == set(schema)
    for name, columns in schema.items():
        assert columns, name
        assert sorted(first_names(section(content, f"### `{name}`"))) == sorted(columns), name


def logged_events() -> set[str]:
    """Give the literal first argument of every call of a logger in ingest/."""
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    return {
        call.args[0].value
        for path in sorted((ROOT / "ingest").glob("*.py"))
        for call in ast.walk(ast.parse(text(path)))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in levels
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def test_every_log_event_is_told() -> None:
    """The table of log events is what the service logs."""
    told = first_names(section(page("operations.md"), "## Log events"))
    events = logged_events()
    assert "started" in events
    assert sorted(told) == sorted(events)


def test_every_topic_is_told() -> None:
    """The page of formats shows every topic that the grammar builds."""
    topics = Topics("{root}")
    forms: list[str] = []
    for name, member in inspect.getmembers(Topics):
        if name.startswith("_") or name in ("parse", "root"):
            continue
        if isinstance(member, property):
            value = getattr(topics, name)
            forms += [value] if isinstance(value, str) else value
        else:
            levels = [level for level in inspect.signature(member).parameters if level != "self"]
            forms.append(member(topics, *(f"{{{level}}}" for level in levels)))
    assert len(forms) > 3
    assert [form for form in forms if f"`{form}`" not in page("formats.md")] == []


def test_every_key_of_the_registry_is_told() -> None:
    """The tables of keys are the registry's."""
    content = page("registry.md")
    assert sorted(first_names(section(content, "## `[[car_park]]`"))) == sorted(CarPark.model_fields)
    assert sorted(first_names(section(content, "## `[[car_park.spot]]`"))) == sorted(Spot.model_fields)
    assert sorted(first_names(section(content, "## `[[dwelling]]`"))) == sorted(Dwelling.model_fields)
    keys, _ = section(content, "## `[[dwelling.sensor]]`").split(KINDS_OF_SENSORS)
    assert sorted(first_names(keys)) == sorted(DwellingSensor.model_fields)


def test_every_kind_of_sensor_is_told_with_its_bounds() -> None:
    """The table of kinds is the kinds: unit, least and greatest value."""
    _, kinds = section(page("registry.md"), "## `[[dwelling.sensor]]`").split(KINDS_OF_SENSORS)
    told = {name: (unit, *map(float, bounds)) for name, unit, *bounds in (map(plain, row) for row in table(kinds))}
    assert told == KINDS


def plain(cell: str) -> str:
    """Give what a cell says without code marks and thousands' commas."""
    return cell.strip("`").replace(",", "")


def examples() -> list[tuple[str, str]]:
    """Give the worked examples of docs/formats.md: a payload and what becomes of it."""
    return [(row[0].strip("`"), row[1]) for row in table(section(page("formats.md"), "### Examples"))]


@pytest.mark.parametrize(("payload", "told"), examples())
def test_examples_become_what_is_told(payload: str, told: str) -> None:
    """Every worked example, decoded with the registry that ships, is stored or rejected as the page says."""
    layout = layout_of(load_registry(ROOT / "deploy/registry.toml"))
    topic = "city/parking/ANTI/spots/P-001"
    settings = Settings.model_construct()
    microseconds = [round(time.total_seconds() * 1e6) for time in (settings.max_lateness, settings.max_future)]
    delivery = Delivery(1, 1, topic, payload.encode(), retain=False, received_at=ARRIVED)
    decoded = decode([delivery], layout, Limits(settings.max_payload_bytes, *microseconds), GATE, NO_GAP)
    if reason := re.fullmatch(r"dead letter, `(\w+)`", told):
        assert [reject.reason for reject in decoded.rejects] == [reason[1]]
    else:
        stored = [to_datetime(time).time() for time in decoded.events["time"].tolist()]
        clock = re.search(r"\d\d:\d\d:\d\d(\.\d+)?", told)
        assert clock, told
        assert [time.isoformat().rstrip("0" if time.microsecond else "") for time in stored] == [clock[0]]


def code_of(content: str) -> str:
    """Give the code of a page: fenced blocks and spans."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", content, re.MULTILINE | re.DOTALL)
    spans = names(re.sub(r"^```.*?^```", "", content, flags=re.MULTILINE | re.DOTALL))
    return "\n".join([*fenced, *spans])


def test_every_make_target_told_can_be_made() -> None:
    """A target named in a page stands in the Makefile with its help."""
    targets = set(re.findall(r"^([a-z-]+):.*## \S", text(ROOT / "Makefile"), re.MULTILINE))
    told = {
        (path.name, target)
        for path in pages()
        for target in re.findall(r"(?:^|&& |=1 )make ([a-z-]+)", code_of(text(path)), re.MULTILINE)
    }
    assert {"run", "test"} <= {target for _, target in told}
    assert [(name, target) for name, target in told if target not in targets] == []


def anchors(content: str) -> set[str]:
    """Give the anchors that the headings of a page have."""
    headings = re.findall(r"^#+ (.*)$", content, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_relative_link_leads_somewhere() -> None:
    """The file is there, and so is the heading."""
    checked = 0
    for path in pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", text(path)):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            found = (path.parent / name).resolve() if name else path
            assert found.exists(), f"{path.name}: {target}"
            assert not anchor or anchor in anchors(text(found)), f"{path.name}: {target}"
            checked += 1
    assert checked


def test_every_decision_is_linked() -> None:
    """No decision record is left where nobody finds it."""
    records = sorted(path.name for path in (DOCS / "decisions").glob("*.md"))
    assert records
    assert [name for name in records if f"(decisions/{name})" not in page("architecture.md")] == []


def test_every_test_that_shows_a_promise_exists() -> None:
    """A promise that names a test names one that is run."""
    told = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page("delivery.md"))
    assert told
    for file, name in told:
        assert (ROOT / file).exists(), file
        defined = {
            found
            for node in ast.parse(text(ROOT / file)).body
            for found in (
                [node.name]
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                else [target.id for target in node.targets if isinstance(target, ast.Name)]
                if isinstance(node, ast.Assign)
                else []
            )
        }
        assert name in defined, f"{file}::{name}"
        assert name.lower().startswith("test")


def test_every_numbered_promise_names_a_test() -> None:
    """No promise stands there unproven."""
    promises = re.split(r"^\d+\. ", section(page("delivery.md"), "## The promise"), flags=re.MULTILINE)[1:]
    assert promises
    assert [promise[:60] for promise in promises if "`tests/" not in promise] == []


def test_json_that_is_shown_is_json() -> None:
    """What a reader copies from the formats can be parsed."""
    blocks = re.findall(r"^```json\n(.*?)^```", page("formats.md"), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        json.loads(block)


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the business of whoever installs them."""
    found = []
    for path in files():
        content = path.read_bytes()
        found += [f"{path.relative_to(ROOT)}: {host}" for host in REGISTRY_HOSTS if host.encode() in content]
    assert found == []
