"""The pages of the documentation, taken apart: sections, tables and code spans."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


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


def plain(cell: str) -> str:
    """Give what a cell says without code marks and thousands' commas."""
    return cell.strip("`").replace(",", "")
