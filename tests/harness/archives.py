"""Real archives, kept beside the repository and never inside it."""

from pathlib import Path

import pytest

_HOME = Path(__file__).parents[3] / "shared/data"


def archive(name: str) -> Path:
    """Give an archive's file or directory; ends the test where it is not there."""
    path = _HOME / name
    if not path.exists():
        # No component of this project, so its absence is never a failure.
        pytest.skip(f"the archive {name} is missing: put the real data into ../shared/data, beside the repository")
    return path
