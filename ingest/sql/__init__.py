"""SQL in files: each holds queries under `-- name: ...` lines, and is read once, at import."""

from importlib import resources
from typing import LiteralString


def load_queries(file: str) -> dict[str, LiteralString]:
    """Read the named queries of one file of this folder."""
    text = resources.files(__name__).joinpath(file).read_text(encoding="utf-8")
    blocks = text.split("-- name: ")[1:]
    named = (block.partition("\n") for block in blocks)
    return {name.strip(): body.strip() for name, _, body in named}
