"""Wrong settings and registries: one clear line a fault, exit status 2, before any connection."""

from pathlib import Path

import pytest
from harness.service import run_command

NOBODY = {"ARCEAUX_BROKER_URL": "mqtt://127.0.0.1:1", "ARCEAUX_DATABASE_URL": "postgresql://127.0.0.1:1/none"}

WRONG_SETTINGS = [
    ("ARCEAUX_BROKER_URL", "http://broker", "mqtt://"),
    ("ARCEAUX_BROKER_URL", "mqtt://broker:99999", "port"),
    ("ARCEAUX_DATABASE_URL", "mysql://host/db", "postgresql://"),
    ("ARCEAUX_RECEIVE_MAXIMUM", "65535", "65534"),
    ("ARCEAUX_BATCH_MAX_READINGS", "many", "integer"),
    ("ARCEAUX_BATCH_MAX_DELAY", "soon", "50ms"),
    ("ARCEAUX_MAX_LATENESS", "-3d", "duration"),
    ("ARCEAUX_TOPIC_ROOT", "city/#", "wildcards"),
    ("ARCEAUX_OPS_PORT", "100000", "65535"),
    ("ARCEAUX_LOG_FORMAT", "xml", "console"),
    ("ARCEAUX_DATABASE_URL_FILE", "/nonexistent/secret", "cannot be read"),
    ("ARCEAUX_REGISTRY", "/nonexistent/registry.toml", "cannot be read"),
]

WRONG_REGISTRIES = [
    ("[[car_park]\n", ["line 1"]),
    ("[[car_park]]\ncode = 'A'\n", ["car_park[0].name", "car_park[0].capacity", "car_park[0].basis"]),
    ("[[car_park]]\ncode='A/B'\nname='x'\ncapacity=0\nbasis='count'\n", ["car_park[0].code", "car_park[0].capacity"]),
    ("[[car_park]]\ncode='A'\nname='x'\ncapacity=1\nbasis='spots'\nspots=['1..2']\n", ["2 spots", "capacity of 1"]),
    ("[[car_park]]\ncode='A'\nname='x'\ncapacity=9\nbasis='count'\ncolour='red'\n", ["car_park[0].colour"]),
]


@pytest.mark.parametrize(("name", "value", "told"), WRONG_SETTINGS)
async def test_a_wrong_setting_is_one_line_and_status_2(name: str, value: str, told: str) -> None:
    """The line names the variable and what is expected; nothing was connected to, or the command would wait."""
    settings = {key: url for key, url in NOBODY.items() if f"{key}_FILE" != name} | {name: value}
    ended = await run_command("ingest", settings=settings)

    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("arceaux: ")
    assert name in line
    assert told in line


@pytest.mark.parametrize(("text", "told"), WRONG_REGISTRIES)
async def test_a_wrong_registry_names_every_fault(tmp_path: Path, text: str, told: list[str]) -> None:
    """Each line names the file, the place and what is expected."""
    path = tmp_path / "registry.toml"
    path.write_text(text)
    ended = await run_command("ingest", settings=NOBODY | {"ARCEAUX_REGISTRY": str(path)})

    assert ended.returncode == 2, ended.stderr
    lines = ended.stderr.splitlines()
    assert all(line.startswith(f"arceaux: {path}: ") for line in lines)
    for words in told:
        assert any(words in line for line in lines), ended.stderr


async def test_config_hides_secrets() -> None:
    """`arceaux config` shows every setting and no password."""
    settings = {
        "ARCEAUX_BROKER_URL": "mqtt://service:b%40d@broker:1883",
        "ARCEAUX_DATABASE_URL": "postgresql://u:hidden@db/x",
    }
    shown = await run_command("config", settings=settings)
    as_json = await run_command("config", "--json", settings=settings)

    assert (shown.returncode, as_json.returncode) == (0, 0)
    for text in (shown.stdout, as_json.stdout):
        assert "mqtt://service:***@broker:1883" in text
        assert "hidden" not in text
        assert "b%40d" not in text


async def test_wrong_usage_is_status_2() -> None:
    """An unknown command or option ends with status 2."""
    assert (await run_command("ingst")).returncode == 2
    assert (await run_command("audit", "--loud")).returncode == 2
