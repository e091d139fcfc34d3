"""The settings: where they come from, what is refused, and that no secret shows."""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.faults import ConfigurationError
from schemas.settings import BrokerAddress, Settings, hide_password, load_settings, unknown_settings

SECRET = "s3cr3t"
CONTRACT_DEFAULTS = {
    "ARCEAUX_TOPIC_ROOT": "city",
    "ARCEAUX_MAX_LATENESS": "8d",
    "ARCEAUX_MAX_FUTURE": "5m",
    "ARCEAUX_MAX_PAYLOAD_BYTES": str(256 * 1024),
    "ARCEAUX_RETENTION_PARKING": "400d",
    "ARCEAUX_RETENTION_DWELLING_READINGS": "30d",
    "ARCEAUX_RETENTION_DEAD_LETTERS": "30d",
    "ARCEAUX_OPS_HOST": "127.0.0.1",
    "ARCEAUX_OPS_PORT": "9108",
    "ARCEAUX_DRAIN_TIMEOUT": "20s",
}


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any setting and in a folder without `.env`."""
    for name in list(os.environ):
        if name.upper().startswith("ARCEAUX_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    """Give the message with which the settings are refused."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value)


def test_without_any_setting_the_contract_s_defaults_are_in_force() -> None:
    """A deployment that sets nothing gets what the documentation says."""
    shown = load_settings().shown()
    assert {name: shown[name] for name in CONTRACT_DEFAULTS} == CONTRACT_DEFAULTS


def test_every_setting_is_shown_under_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown can be set again as it is."""
    shown = load_settings().shown()
    assert set(shown) == {f"ARCEAUX_{name.upper()}" for name in Settings.model_fields}
    for name, value in shown.items():
        monkeypatch.setenv(name, value)
    assert load_settings().shown() == shown


def test_a_variable_sets_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read."""
    monkeypatch.setenv("ARCEAUX_BATCH_MAX_DELAY", "20ms")
    monkeypatch.setenv("ARCEAUX_RECEIVE_MAXIMUM", "65534")
    settings = load_settings()
    assert settings.batch_max_delay == timedelta(milliseconds=20)
    assert settings.receive_maximum == 65_534


def test_the_environment_outweighs_the_named_file_and_that_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strongest first: environment, NAME_FILE, `.env`."""
    (tmp_path / ".env").write_text("ARCEAUX_TOPIC_ROOT=env-file\nARCEAUX_CLIENT_ID=from-env-file\n", encoding="utf-8")
    assert load_settings().topic_root == "env-file"
    secret = tmp_path / "secret"
    secret.write_text("  named-file\n", encoding="utf-8")
    monkeypatch.setenv("ARCEAUX_TOPIC_ROOT_FILE", str(secret))
    assert load_settings().topic_root == "named-file"
    monkeypatch.setenv("ARCEAUX_TOPIC_ROOT", "environment")
    settings = load_settings()
    assert settings.topic_root == "environment"
    assert settings.client_id == "from-env-file"


@pytest.mark.parametrize("name", ["BROKER_URL", "DATABASE_URL"])
def test_a_secret_may_be_given_as_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NAME_FILE gives the value of NAME, without the newline that editors leave."""
    scheme = "mqtt" if name == "BROKER_URL" else "postgresql"
    secret = tmp_path / "secret"
    secret.write_text(f"{scheme}://user:{SECRET}@host\n", encoding="utf-8")
    monkeypatch.setenv(f"ARCEAUX_{name}_FILE", str(secret))
    settings = load_settings()
    assert getattr(settings, name.lower()) == f"{scheme}://user:{SECRET}@host"
    assert SECRET not in "".join(settings.shown().values())


def test_the_name_of_a_file_may_stand_in_the_env_file(tmp_path: Path) -> None:
    """NAME_FILE is a setting like any other: `.env` may give it."""
    (tmp_path / "secret").write_text("named", encoding="utf-8")
    (tmp_path / ".env").write_text(f"ARCEAUX_TOPIC_ROOT_FILE={tmp_path / 'secret'}\n", encoding="utf-8")
    assert load_settings().topic_root == "named"


def test_a_named_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable and the path are named, in one line."""
    for path in (tmp_path / "absent", tmp_path):
        monkeypatch.setenv("ARCEAUX_DATABASE_URL_FILE", str(path))
        message = refusal()
        assert message.startswith("ARCEAUX_DATABASE_URL_FILE: ")
        assert str(path) in message
        assert "\n" not in message


def test_a_named_file_that_is_no_text_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are no UTF-8 are a fault of the setting, told in one line without the bytes."""
    (tmp_path / "secret").write_bytes(b"s3cr3t\xff\xfe")
    monkeypatch.setenv("ARCEAUX_DATABASE_URL_FILE", str(tmp_path / "secret"))
    message = refusal()
    assert message.startswith("ARCEAUX_DATABASE_URL_FILE: ")
    assert SECRET not in message
    assert "\n" not in message


def test_an_env_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    """A `.env` in another encoding is told as such."""
    (tmp_path / ".env").write_bytes(b"ARCEAUX_TOPIC_ROOT=\xff\xfe\n")
    assert ".env" in refusal()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BROKER_URL", f"http://u:{SECRET}@h", "expected mqtt://"),
        ("BROKER_URL", f"//u:{SECRET}@h", "expected mqtt://"),
        ("BROKER_URL", f"mqtt://u:{SECRET}@", "expected mqtt://"),
        ("BROKER_URL", f"mqtt://u:{SECRET}@h/a/path", "expected mqtt://"),
        ("BROKER_URL", f"mqtt://u:{SECRET}@h:99999", "port between 1 and 65535"),
        ("BROKER_URL", f"mqtt://u:{SECRET}@h:0", "port between 1 and 65535"),
        ("BROKER_URL", f"mqtt://u:{SECRET}@h:port", "port between 1 and 65535"),
        ("BROKER_URL", f"mqtt://u:{SECRET}@[::1", "expected a URL"),
        ("BROKER_URL", f"mqtt://u:{SECRET}/x@h", "expected a URL"),
        ("BROKER_URL", "", "expected mqtt://"),
        ("DATABASE_URL", f"mysql://u:{SECRET}@h/d", "expected postgresql://"),
        ("DATABASE_URL", f"host=h password={SECRET}", "expected postgresql://"),
        ("DATABASE_URL", f"postgresql://u:{SECRET}@h:port/d", "port between 1 and 65535"),
        ("TOPIC_ROOT", "", "expected a topic without wildcards"),
        ("TOPIC_ROOT", "city/#", "expected a topic without wildcards"),
        ("TOPIC_ROOT", "+", "expected a topic without wildcards"),
        ("TOPIC_ROOT", "/city", "expected a topic without wildcards"),
        ("TOPIC_ROOT", "city/", "expected a topic without wildcards"),
        ("TOPIC_ROOT", "a//b", "expected a topic without wildcards"),
        ("TOPIC_ROOT", "$SYS", "expected a topic without wildcards"),
        ("TOPIC_ROOT", "a\nb", "expected a topic without wildcards"),
        ("CLIENT_ID", "", "at least 1 character"),
        ("CLIENT_ID", "x" * 65, "at most 64 characters"),
        ("CLIENT_ID", "west/1", "expected one level of a topic"),
        ("CLIENT_ID", "west+1", "expected one level of a topic"),
        ("CLIENT_ID", "#", "expected"),
        ("CLIENT_ID", "a\nb", "expected"),
        ("RECEIVE_MAXIMUM", "0", "greater than or equal to 1"),
        ("RECEIVE_MAXIMUM", "65535", "less than or equal to 65534"),
        ("RECEIVE_MAXIMUM", SECRET, "valid integer"),
        ("BATCH_MAX_READINGS", "0", "greater than or equal to 1"),
        ("BATCH_MAX_READINGS", "100001", "less than or equal to 100000"),
        ("BATCH_MAX_DELAY", SECRET, "expected a duration"),
        ("BATCH_MAX_DELAY", "11s", "expected at most 10s"),
        ("MAX_LATENESS", "-1d", "expected a duration"),
        ("MAX_LATENESS", "9" * 30, "expected a duration"),
        ("MAX_FUTURE", "", "expected a duration"),
        ("MAX_PAYLOAD_BYTES", "63", "greater than or equal to 64"),
        ("MAX_PAYLOAD_BYTES", "8388609", "less than or equal to 8388608"),
        ("PUBLISH_INTERVAL", "nan", "expected a duration"),
        ("RETENTION_PARKING", "215h", "expected at least 9d, one day more than ARCEAUX_MAX_LATENESS"),
        ("RETENTION_DWELLING_READINGS", "0", "expected at least 9d, one day more than ARCEAUX_MAX_LATENESS"),
        ("RETENTION_DEAD_LETTERS", "23h", "expected at least 1d"),
        ("OPS_PORT", "-1", "greater than or equal to 0"),
        ("OPS_PORT", "65536", "less than or equal to 65535"),
        ("OPS_PORT", "http", "valid integer"),
        ("LOG_FORMAT", SECRET, "'console' or 'json'"),
        ("DRAIN_TIMEOUT", "20 minutes", "expected a duration"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_without_itself(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the variable and what is expected, and never repeats what may be a secret."""
    monkeypatch.setenv(f"ARCEAUX_{name}", value)
    message = refusal()
    assert message.startswith(f"ARCEAUX_{name}: ")
    assert expected in message
    assert "\n" not in message
    assert SECRET not in message


def test_every_wrong_setting_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody mends settings one start at a time."""
    for name in ("BROKER_URL", "OPS_PORT", "MAX_FUTURE"):
        monkeypatch.setenv(f"ARCEAUX_{name}", "wrong")
    lines = refusal().split("\n")
    assert sorted(line.partition(":")[0] for line in lines) == [
        "ARCEAUX_BROKER_URL",
        "ARCEAUX_MAX_FUTURE",
        "ARCEAUX_OPS_PORT",
    ]


def test_raw_readings_are_kept_longer_than_the_latest_may_be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """One day more than the largest lateness is enough; what is too short is told a line each, by what to set."""
    monkeypatch.setenv("ARCEAUX_MAX_LATENESS", "500d")
    lines = refusal().split("\n")
    assert [line.partition(":")[0] for line in lines] == [
        "ARCEAUX_RETENTION_PARKING",
        "ARCEAUX_RETENTION_DWELLING_READINGS",
    ]
    assert all("expected at least 501d" in line for line in lines)
    for line in lines:
        monkeypatch.setenv(line.partition(":")[0], "501d")
    assert load_settings().retention_parking == timedelta(days=501)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=10))
def test_any_password_reaches_the_broker_and_is_hidden_from_people(password: str, user: str) -> None:
    """A password may hold any character, URL-encoded; it is used as it is and shown as stars."""
    login, secret = quote(user, safe=""), quote(password, safe="")
    address = BrokerAddress(f"mqtts://{login}:{secret}@broker.example")
    assert (address.username, address.password) == (user, password)
    assert (address.host, address.port, address.tls) == ("broker.example", 8883, True)
    for scheme, rest in (("mqtt", "host:1883"), ("postgresql", "host:5432/arceaux?sslmode=require"), ("mqtt", "[::1]")):
        assert hide_password(f"{scheme}://{login}:{secret}@{rest}") == f"{scheme}://{login}:***@{rest}"


@pytest.mark.parametrize("secret", ["p@ss", "a:b", ":", "@", "***", "user", "é"])
def test_a_password_with_special_characters_left_as_they_are_is_hidden_too(secret: str) -> None:
    """Who forgets to encode a password does not find it in a log."""
    assert hide_password(f"mqtt://user:{secret}@host:1883") == "mqtt://user:***@host:1883"


@pytest.mark.parametrize("key", ["password", "sslpassword"])
def test_a_password_among_the_parameters_of_a_url_is_hidden(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL also takes a password after the question mark; it is no less secret there."""
    monkeypatch.setenv("ARCEAUX_DATABASE_URL", f"postgresql://host/arceaux?user=u&{key}={SECRET}")
    assert SECRET not in load_settings().shown()["ARCEAUX_DATABASE_URL"]


def test_a_url_without_a_password_is_shown_as_it_is() -> None:
    """Hiding changes nothing where there is nothing to hide."""
    for url in ("mqtt://localhost:1883", "mqtt://user@host", "postgresql:///arceaux?host=/run/postgresql"):
        assert hide_password(url) == url


def test_the_ports_of_mqtt_are_the_defaults() -> None:
    """1883 in the clear, 8883 over TLS, unless another one is given."""
    assert BrokerAddress("mqtt://h").port == 1883
    assert BrokerAddress("mqtts://h").port == 8883
    assert BrokerAddress("mqtts://h:1234").port == 1234
    assert BrokerAddress("mqtt://h").username is None
    assert BrokerAddress("mqtt://h").password is None


def test_a_misspelt_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that looks like a setting and is none is told; NAME_FILE is one."""
    monkeypatch.setenv("ARCEAUX_BROKER_URI", "mqtt://h")
    monkeypatch.setenv("ARCEAUX_DATABASE_URL_FILE", "secret")
    monkeypatch.setenv("ARCEAUX_TOPIC_ROOT", "city")
    assert unknown_settings() == ("ARCEAUX_BROKER_URI",)
