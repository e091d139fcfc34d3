"""Two homes that consent, and the list of erased ones kept apart."""

from pathlib import Path

import pytest
from harness.homes import write_homes


@pytest.fixture
def registry_path(registry_path: Path) -> Path:
    """Add two homes that consent to the small registry."""
    write_homes(registry_path, hut_01=True, home_b=True)
    return registry_path


@pytest.fixture
def service_settings(service_settings: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Keep the list of erased homes apart."""
    return service_settings | {"ARCEAUX_ERASED_FILE": str(tmp_path / "apart" / "erased")}


@pytest.fixture(autouse=True)
def apart(tmp_path: Path) -> Path:
    """Make the directory of the list."""
    place = tmp_path / "apart"
    place.mkdir()
    return place / "erased"
