"""Homes in tests: their part of a registry, what they send, and all that is held of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processors.privacy import Privacy, pseudonym
from schemas.registry import Registry
from schemas.topics import Topics

KEY = b"0123456789abcdef" * 4
"""What the fixtures write into the file of the key."""
HOME = """
[[dwelling]]
id = "{id}"
district = "antigone"
consent = {consent}
max_sensors = 2000
"""


def write_homes(registry: Path, **consents: bool) -> None:
    """Put these homes into the registry in place of those that are there; `_` stands for `-`."""
    parking = registry.read_text(encoding="utf-8").partition("\n[[dwelling]]")[0]
    homes = (HOME.format(id=plain(name), consent=str(consent).lower()) for name, consent in consents.items())
    registry.write_text(parking + "".join(homes), encoding="utf-8")


def plain(name: str) -> str:
    """Give the id that a keyword stands for."""
    return name.replace("_", "-")


def secret(dwelling: str) -> str:
    """Give the pseudonym of a home under the tests' key."""
    return pseudonym(KEY, dwelling)


def mark(dwelling: str) -> str:
    """Give the mark of a home once it is erased, in hexadecimal."""
    return Privacy.of(Registry(), Topics("city"), KEY).mark(secret(dwelling)).hex()


def senml(dwelling: str) -> str:
    """Give the topic of a home's packs."""
    return f"city/dwellings/{dwelling}/senml"


def pause(dwelling: str) -> str:
    """Give the topic of a home's red button."""
    return f"city/dwellings/{dwelling}/pause"


def pack(value: float, at: float, *names: str) -> bytes:
    """Make a pack of sensors that all tell one value."""
    return json.dumps([{"bt": at, "n": name, "u": "Cel", "v": value} for name in names or ("t",)]).encode()


async def dump(ask: Callable[..., Any]) -> dict[str, str]:
    """Give every row of every table as text, payloads readable, by table."""
    names = await ask("SELECT json_agg(tablename)::text FROM pg_tables WHERE schemaname = 'arceaux'")
    tables = {
        name: await ask(f"SELECT coalesce(json_agg(t), '[]')::text FROM {name} AS t") for name in json.loads(names)
    }
    letters = "SELECT coalesce(string_agg(encode(payload, 'escape'), ' '), '') FROM dead_letter"
    return tables | {"payloads of dead_letter": await ask(letters)}


async def held(ask: Callable[..., Any], dwelling: str) -> dict[str, Any]:
    """Give all rows of one home, by table."""
    home = secret(dwelling)
    queries = {
        "dwelling": "SELECT * FROM dwelling WHERE pseudonym = %s",
        "sensor": "SELECT s.* FROM sensor s JOIN dwelling d ON d.id = dwelling_id WHERE pseudonym = %s ORDER BY id",
        "pause": "SELECT p.* FROM pause p JOIN dwelling d ON d.id = dwelling_id WHERE pseudonym = %s ORDER BY began_at",
        "pooled_member": "SELECT m.* FROM pooled_member m JOIN dwelling d ON d.id = dwelling_id WHERE pseudonym = %s",
        **{
            table: f"SELECT r.* FROM {table} r JOIN sensor s ON s.id = sensor_id "
            f"JOIN dwelling d ON d.id = dwelling_id WHERE pseudonym = %s ORDER BY r"
            for table in ("dwelling_reading", "dwelling_minute", "dwelling_hour", "dwelling_day", "last_told")
        },
        "dead_letter": "SELECT * FROM dead_letter WHERE topic LIKE '%%' || %s || '%%' ORDER BY id",
    }
    return {
        table: json.loads(await ask(f"SELECT coalesce(json_agg(t), '[]')::text FROM ({query}) AS t", home))
        for table, query in queries.items()
    }
