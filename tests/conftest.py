"""What holds for every test."""

import sys
from collections import Counter

import pytest

LIMIT = sys.getrecursionlimit()


@pytest.fixture(autouse=True)
def recursion_limit():
    """Keep Python's own limit: web3, which tests import, raises it for the whole process."""
    sys.setrecursionlimit(LIMIT)
    yield
    sys.setrecursionlimit(LIMIT)


def pytest_collection_modifyitems(items):
    """Begin with the files that run Airflow, the longest first: begun last, one process waits."""
    airflow = Counter(item.path for item in items if item.get_closest_marker("airflow"))
    items.sort(key=lambda item: -airflow[item.path])
