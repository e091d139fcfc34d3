"""What is wrong with a setting or a registry, one line a fault, for people."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError


class ConfigurationError(Exception):
    """A setting or the registry is wrong; the message has one line for each fault."""


def fault_lines(error: ValidationError, name: str = "") -> Iterable[str]:
    """Tell every fault as `where: what is expected`, without repeating the input, which may be secret."""
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        where = _where(fault, name)
        message = fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        yield f"{where}: {message}" if where else message


def _where(fault: Mapping[str, Any], name: str) -> str:
    path = name
    for part in fault["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path
