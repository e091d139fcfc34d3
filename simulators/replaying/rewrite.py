"""Sending to other topics than an archive tells. No I/O."""

import re
from collections.abc import Sequence

from simulators.topic_filters import check_filter, compile_filter

_WILDCARD = re.compile(r"[+#]")


class Rewriting:
    """Rules such as `city/#=test/#`: the first whose filter fits a topic gives another one.

    What a wildcard of the filter stands for is put in the place of the same one, in order, on the other side. Raises
    ValueError for what is no rule.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self._rules = [_rule(text) for text in rules]

    def topic(self, topic: str) -> str:
        """Give where messages of a topic go."""
        for pattern, parts in self._rules:
            if match := pattern.fullmatch(topic):
                groups = match.groups()
                found = "".join(part + (group or "") for part, group in zip(parts, (*groups, ""), strict=True))
                # No topic is empty: a broker ends the connection of whoever publishes to none.
                return (found.removesuffix("/") if None in groups else found) or topic
        return topic


def _rule(text: str) -> tuple[re.Pattern[str], list[str]]:
    """Give a pattern, and the parts of the new topic between which what its wildcards stand for is put."""
    before, equals, after = text.partition("=")
    if not equals:
        raise ValueError("expected FROM=TO, such as city/#=test/#")
    check_filter(after)
    if _WILDCARD.findall(before) != _WILDCARD.findall(after):
        raise ValueError("expected the same wildcards in the same order on both sides")
    return compile_filter(before), _WILDCARD.split(after)
