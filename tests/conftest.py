"""What holds for every test."""

import sys

import pytest

LIMIT = sys.getrecursionlimit()


@pytest.fixture(autouse=True)
def recursion_limit():
    """Keep Python's own limit: web3, which tests import, raises it for the whole process."""
    sys.setrecursionlimit(LIMIT)
    yield
    sys.setrecursionlimit(LIMIT)
