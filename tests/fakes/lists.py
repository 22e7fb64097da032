"""A sanctions list that the test writes."""

from collections.abc import Sequence

from airflow_cwf.core.screening import DEFAULT_MAX_AGE_S, SanctionsList, check_age
from tests.fakes.clock import START, FakeClock


class FixedList:
    """A sanctions list in memory; its age is checked as that of a real one."""

    def __init__(self, clock: FakeClock, addresses: Sequence[str] = ()) -> None:
        self.clock = clock
        self.addresses = set(addresses)
        self.published = START - 3600

    async def load(self) -> SanctionsList:
        listed = SanctionsList(
            source="a list of the test's",
            published=int(self.published),
            sha256="ab" * 32,
            addresses=frozenset(self.addresses),
            others=frozenset(),
            malformed=(),
            entries=9_000,
        )
        check_age(listed, now=self.clock.now(), max_age_s=DEFAULT_MAX_AGE_S)
        return listed
