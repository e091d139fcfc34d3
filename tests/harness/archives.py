"""Real archives, kept beside the repository and never inside it."""

from pathlib import Path

from harness.missing import missing

_HOME = Path(__file__).parents[3] / "shared/data"


def archive(name: str) -> Path:
    """Give an archive's file or directory; ends the test where it is not there."""
    path = _HOME / name
    if not path.exists():
        missing(f"the archive {name}", "put the real data into ../shared/data, beside the repository")
    return path
