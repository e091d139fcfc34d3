"""The public register: every kind and every retention is told in both languages, and no dwelling is."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from unit.pages import ROOT

from ingest.privacy.register import PURPOSES, Language, as_json, as_markdown, register_of, texts_in
from schemas.registry import Registry, load_registry
from schemas.settings import Settings
from schemas.units import KINDS

NOW = datetime(2026, 11, 21, tzinfo=UTC)
RETENTIONS: dict[str, Any] = {
    name: timedelta(days=101 + number)
    for number, name in enumerate(name for name in Settings.model_fields if name.startswith("retention_"))
}
SETTINGS = Settings.model_construct(**RETENTIONS)
GROUP = SETTINGS.privacy_minimum_group
LANGUAGES: tuple[Language, ...] = get_args(Language)


def city(**homes: int) -> Registry:
    """Make a registry of so many homes in each district; the first one has a bed and a sensor nobody else has."""
    rare = [
        {"name": "bed", "kind": "bed", "heartbeat": "7m"},
        {"name": "odd", "kind": "radon", "unit": "Bq", "heartbeat": "90s"},
    ]
    dwellings: list[dict[str, Any]] = [
        {"id": f"home-{district}-{number}", "district": district, "consent": True}
        for district, count in homes.items()
        for number in range(count)
    ]
    return Registry.model_validate({"dwelling": [dwellings[0] | {"sensor": rare}, *dwellings[1:]]})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_and_every_retention_is_told(language: Language) -> None:
    """Those of the code and those that only the registry knows; each retention that a dwelling's data have."""
    register = register_of(city(big=GROUP), SETTINGS, NOW, language)
    page = as_markdown(register)
    assert [kind for kind in (*KINDS, "radon", "other") if f"`{kind}`" not in page] == []
    of_homes = {name for name in Settings.model_fields if name.startswith("retention_") and "parking" not in name}
    assert len(of_homes) == len([kept for kept in PURPOSES.values() if hasattr(SETTINGS, kept)])
    days = texts_in(language)["days"]
    assert [name for name in of_homes if days.format(n=getattr(SETTINGS, name).days) not in page] == []
    assert {row.kind for row in register.collected} == {row["kind"] for row in as_json(register)["collected"]}


def shape(value: Any) -> Any:  # noqa: ANN401 - whatever TOML holds
    """Give the keys of texts, and how long their lists are."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return len(value) if isinstance(value, list) else None


def test_both_languages_say_the_same_things() -> None:
    """No text is missing in one of them, and none is left from the other."""
    english, french = (texts_in(language) for language in ("en", "fr"))
    assert shape(english) == shape(french)
    assert set(KINDS) < set(english["kinds"])
    assert set(PURPOSES) == set(english["purposes"])
    assert [key for key, text in english["kinds"].items() if text == french["kinds"][key]] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_singles_a_home_out(language: Language) -> None:
    """Neither an id, nor the name of a district with too few homes, nor how many there are."""
    for few in range(1, GROUP):
        register = register_of(city(big=GROUP, small=few), SETTINGS, NOW, language)
        page = as_markdown(register) + json.dumps(as_json(register))
        assert register.districts == ("big",)
        assert [word for word in ("home-", "small") if word in page] == []
        others = register_of(city(big=GROUP, small=few % (GROUP - 1) + 1), SETTINGS, NOW, language)
        assert as_markdown(others) == as_markdown(register)


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_home_changes_nothing_but_what_is_measured(language: Language) -> None:
    """With a single home its kinds are told, since that has to be; where it is, is not."""
    alone, several = (register_of(city(small=number), SETTINGS, NOW, language) for number in (1, GROUP - 1))
    assert alone == several
    assert alone.districts == ()


def test_those_who_do_not_consent_do_not_count() -> None:
    """A registry of homes that all withdrew says that nobody takes part."""
    homes = [{"id": "a", "district": "x", "consent": False}]
    register = register_of(Registry.model_validate({"dwelling": homes}), SETTINGS, NOW, "en")
    assert "No dwelling" in register.dwellings


def test_the_registry_that_ships_has_a_register() -> None:
    """With the real defaults."""
    registry = load_registry(ROOT / "deploy/registry.toml")
    page = as_markdown(register_of(registry, Settings.model_construct(), NOW, "fr"))
    assert "30 jours" in page
    assert [home.id for home in registry.dwelling if home.id in page] == []
