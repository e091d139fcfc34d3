"""Documentation and code, held together by reading both."""

import ast
import inspect
import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import typer.main
from chaos.catalogue import SCENARIOS
from harness.missing import missing
from typer.core import TyperCommand, TyperGroup
from unit.pages import DOCS, ROOT, first_names, names, page, plain, section, table, text
from unit.worlds import GATE, NO_GAP, layout_of

from ingest.cli import app
from ingest.metrics import Metrics
from ingest.migrate import HYPERTABLES
from ingest.roles import DASHBOARD, PRIVACY
from ingest.sql import load_queries
from processors.decode import decode
from processors.rejects import Limits
from processors.times import to_datetime
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.registry import CarPark, Dwelling, DwellingDevice, DwellingSensor, Spot, load_registry
from schemas.settings import PREFIX, TIMESCALEDB_ROOT, Settings
from schemas.topics import Route, Topics
from schemas.units import KINDS

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
PAGES_OF_PROMISES = ("delivery.md", "privacy.md")
ARRIVED = 1_795_298_405_000_000
"""2026-11-21T22:00:05Z, when the examples of docs/formats.md arrive."""


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
    told = {row[0].strip("`"): row[1].strip("`") for row in table(page("settings.md"))}
    settings = {name: default for name, default in told.items() if name not in OUTSIDE_SETTINGS}
    unset = {f"{PREFIX}{name.upper()}" for name, field in Settings.model_fields.items() if field.default is None}
    shown = Settings.model_construct().shown()
    assert settings == {name: "none" if name in unset else default for name, default in shown.items()}
    assert list(settings) == list(shown)


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
        assert set(re.findall(r"\barceaux_[a-z_]*[a-z]", text(path))) <= whole | parts | {DASHBOARD, PRIVACY}, path


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
    columns = {name: re.findall(r"^    ([a-z_]+) ", body, re.MULTILINE) for name, body in made}
    for name, column in re.findall(r"ALTER TABLE (\w+) ADD COLUMN (\w+)", sql):
        columns[name].append(column)
    for name in re.findall(r"DROP TABLE (\w+)", sql):
        del columns[name]
    return columns


def test_every_table_is_told_with_its_columns() -> None:
    """Each table has a heading of its own, and below it exactly its columns."""
    content = page("database.md")
    schema = tables_of_the_schema()
    assert set(re.findall(r"^### `(\w+)`$", content, re.MULTILINE)) == set(schema)
    for name, columns in schema.items():
        assert columns, name
        assert sorted(first_names(section(content, f"### `{name}`"))) == sorted(columns), name


def test_every_table_that_grows_with_time_is_told() -> None:
    """The page says which tables become hypertables."""
    (told,) = re.findall(r"tables grow with time: (.*?)\. ", page("database.md"), re.DOTALL)
    assert names(told) == [hypertable.table for hypertable in HYPERTABLES]


def test_every_route_is_told() -> None:
    """Ledger and metrics have the same routes, and the pages say them."""
    (route,) = [row[1] for row in table(section(page("database.md"), "### `ledger`")) if row[0] == "`route`"]
    (sentence,) = re.findall(r"^`route` is (.*?);", page("metrics.md"), re.MULTILINE | re.DOTALL)
    assert names(route) == names(sentence) == list(Route)


def test_every_module_of_the_processors_is_told() -> None:
    """The page of the architecture says what each of them does."""
    modules = {path.stem for path in (ROOT / "processors").glob("*.py")} - {"__init__"}
    assert set(first_names(section(page("architecture.md"), "## Packages"))) == modules


def logged_events() -> set[str]:
    """Give the literal first argument of every call of a logger in ingest/."""
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    return {
        call.args[0].value
        for path in sorted((ROOT / "ingest").rglob("*.py"))
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
    assert sorted(first_names(section(content, "## `[[dwelling.device]]`"))) == sorted(DwellingDevice.model_fields)
    keys, _ = section(content, "## `[[dwelling.sensor]]`").split(KINDS_OF_SENSORS)
    assert sorted(first_names(keys)) == sorted(DwellingSensor.model_fields)


def test_every_kind_of_sensor_is_told_with_its_bounds() -> None:
    """The table of kinds is the kinds: unit, least and greatest value, and what can follow a value."""
    _, kinds = section(page("registry.md"), "## `[[dwelling.sensor]]`").split(KINDS_OF_SENSORS)
    told = {}
    for name, unit, minimum, maximum, a_minute, falls in (map(plain, row) for row in table(kinds)):
        step = math.inf if a_minute == "any" else float(a_minute)
        told[name] = (unit, float(minimum), float(maximum), step, falls == "no")
    assert told == {name: kind[:5] for name, kind in KINDS.items()}


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
    pages_of_promises = [page(name) for name in (*PAGES_OF_PROMISES, "pooled.md")]
    told = [test for content in pages_of_promises for test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", content)]
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


@pytest.mark.parametrize("name", PAGES_OF_PROMISES)
def test_every_numbered_promise_names_a_test(name: str) -> None:
    """No promise stands there unproven."""
    promises = re.split(r"^\d+\. ", section(page(name), "## The promise"), flags=re.MULTILINE)[1:]
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


def test_every_fault_run_is_told() -> None:
    """The table of faults is the catalogue, in its order."""
    assert [row[0] for row in table(section(page("faults.md"), "## The faults"))] == list(SCENARIOS)
