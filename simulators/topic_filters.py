"""MQTT topic filters as patterns: what fits one, and what its wildcards stand for. No I/O."""

import re

_LEVEL = re.compile(r"[^+#\x00]*")


def check_filter(text: str) -> None:
    """Raise ValueError for what is no filter of MQTT."""
    levels = text.split("/")
    inner = [level for level in levels if level != "+"]
    if inner and inner[-1] == "#" and levels[-1] == "#":
        inner.pop()
    if not text or not all(_LEVEL.fullmatch(level) for level in inner):
        raise ValueError("expected an MQTT topic filter: '+' for a level, '#' for all that follow, at the end only")


def compile_filter(text: str) -> re.Pattern[str]:
    """Give a pattern for the topics that fit a filter, with one group for each wildcard.

    As MQTT has it, `a/#` fits `a`, too, and its group is then None. Raises ValueError for what is no filter.
    """
    check_filter(text)
    parts = ["([^/]*)" if level == "+" else "(.*)" if level == "#" else re.escape(level) for level in text.split("/")]
    pattern = "/".join(parts)
    if pattern.endswith("/(.*)"):
        pattern = pattern.removesuffix("/(.*)") + "(?:/(.*))?"
    return re.compile(pattern, re.DOTALL)
