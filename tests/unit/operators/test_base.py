import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_cwf.core import errors
from airflow_cwf.core.errors import CwfError, PreparationError, Retry, SignerError, TransportError
from airflow_cwf.operators.base import told

CHAIN = "eip155:137"
EVERY_ERROR = sorted(
    (
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, CwfError)
    ),
    key=lambda kind: kind.__name__,
)


def instance(kind):
    """Return an error of a class with whatever it insists on."""
    for facts in ({}, {"chain": CHAIN}, {"chain": CHAIN, "reason": "x"}, {"check": 1}):
        try:
            return kind("What happened.", **facts)
        except TypeError:
            continue
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_airflow_tries_again_exactly_what_a_retry_may_mend(kind):
    wanted = AirflowFailException if kind.retry is Retry.NEVER else kind
    with pytest.raises(wanted, match=r"What happened\.") as raised, told():
        raise instance(kind)
    assert raised.type is wanted


def test_another_agents_passing_trouble_is_passing_for_its_siblings_too():
    with pytest.raises(PreparationError), told():
        raise PreparationError("polygon cannot commit", chain=CHAIN) from TransportError(
            "No answer.", chain=CHAIN
        )


def test_another_agents_lasting_trouble_is_lasting_for_its_siblings_too():
    with pytest.raises(AirflowFailException), told():
        raise PreparationError("polygon cannot commit", chain=CHAIN) from SignerError("Locked.")


def test_what_is_no_error_of_ours_is_left_alone():
    with pytest.raises(ZeroDivisionError), told():
        1 / 0  # noqa: B018
