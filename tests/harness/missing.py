"""What to do where a component is not on this machine: skip, or fail where everything has to be there."""

import os
from typing import NoReturn

import pytest

REQUIRE_ALL = "ARCEAUX_TEST_REQUIRE_ALL"
"""Set to 1, as continuous integration does, it turns every skip for a missing component into a failure."""


def missing(component: str, remedy: str) -> NoReturn:
    """End the test: it needs a component that is not here."""
    reason = f"{component} is missing: {remedy}"
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"{reason} ({REQUIRE_ALL} is set)", pytrace=False)
    pytest.skip(reason)
