"""The short form of every fault run: what the broker acknowledged is stored once, and everything agrees afterwards."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from chaos.catalogue import SCENARIOS
from harness.databases import TestServer

SEED = random.randrange(10**6)
SHORT = [name for name, scenario in SCENARIOS.items() if scenario.short]


@pytest.mark.parametrize("seed", [SEED])
@pytest.mark.parametrize("name", SHORT)
def test_a_fault_loses_doubles_and_alters_nothing(
    name: str, seed: int, server_of: Callable[[str], TestServer], tmp_path: Path
) -> None:
    """Oracle and ledger balance, and the retained figures equal the table."""
    scenario = SCENARIOS[name]
    assert scenario.short is not None
    result = scenario.run(scenario.short, server_of(scenario.database), tmp_path, seed)
    assert result.is_clean, result
