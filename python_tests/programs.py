"""Programs that some tests need and not every machine has."""

import os

import pytest


def skip_or_fail(program, reason):
    """Leave a test out; RESBLOCK_REQUIRE_PROGRAM=1 makes it fail instead, where the program is to be there."""
    if os.environ.get(f"RESBLOCK_REQUIRE_{program}") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
