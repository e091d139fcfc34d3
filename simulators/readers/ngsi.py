"""Answers of the city's NGSI interface: a list of car parks in normalized form, each with a time of its own."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from simulators.readers.parsing import content_of, files_of, time_of
from simulators.readers.records import Count, Skipped

SUFFIX = ".json"


def read(path: Path) -> Iterator[Count | Skipped]:
    """Read one answer, or a directory of them. The name of a count is the entity's `id`."""
    for file in files_of(path, SUFFIX):
        try:
            entities = _entities(content_of(file))
        except ValueError as error:
            yield Skipped(file.name, str(error))
            continue
        for place, entity in enumerate(entities):
            try:
                yield _count(entity)
            except ValueError as error:
                yield Skipped(f"{file.name}[{place}]", str(error))


def _entities(content: bytes) -> list[Any]:
    try:
        entities = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from None
    if isinstance(entities, list):
        return entities
    raise ValueError("expected a list of entities")


def _count(entity: object) -> Count:
    if not (isinstance(entity, dict) and isinstance(entity.get("id"), str)):
        raise ValueError("expected an entity with an id")  # noqa: TRY004 - the archive is wrong, not the call
    free, total = _number(entity, "availableSpotNumber"), _number(entity, "totalSpotNumber")
    if free is None:
        raise ValueError(f"{entity['id']} has no availableSpotNumber")
    return Count(_time(entity), entity["id"], free, total, _status(entity))


def _attribute(entity: dict[str, Any], name: str) -> object:
    attribute = entity.get(name)
    return attribute.get("value") if isinstance(attribute, dict) else None


def _number(entity: dict[str, Any], name: str) -> int | None:
    value = _attribute(entity, name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"{entity['id']}: {name} is no whole number")


def _status(entity: dict[str, Any]) -> str | None:
    status = _attribute(entity, "status")
    return status if isinstance(status, str) and status else None


def _time(entity: dict[str, Any]) -> datetime:
    metadata = entity["availableSpotNumber"].get("metadata")
    told = _attribute(metadata, "timestamp") if isinstance(metadata, dict) else None
    if isinstance(told, str):
        return time_of(told)
    raise ValueError(f"{entity['id']}: availableSpotNumber has no timestamp")
