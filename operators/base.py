"""What all operators share: settings from connections, one stay in the event loop, errors."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_cwf.core.errors import CwfError, PreparationError, Retry
from airflow_cwf.hooks.journal import JournalHook
from airflow_cwf.hooks.sanctions import SanctionsHook
from airflow_cwf.hooks.signer import SignerHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cwf.core.runtime import Runtime

T = TypeVar("T")


class CwfOperator(BaseOperator):
    """An operator that runs one action over wired ports.

    Args:
        evm_conn_id: one connection for all chains; None: `evm_<chain>`, then `evm_default`.
        signer_conn_id: the payer's key.
        journal_conn_id: the journal.
        ofac_http_conn_id: the sanctions list.
    """

    def __init__(
        self,
        *,
        evm_conn_id: str | None = None,
        signer_conn_id: str = SignerHook.default_conn_name,
        journal_conn_id: str = JournalHook.default_conn_name,
        ofac_http_conn_id: str = SanctionsHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - BaseOperator's own
    ) -> None:
        super().__init__(**kwargs)
        self.evm_conn_id = evm_conn_id
        self.signer_conn_id = signer_conn_id
        self.journal_conn_id = journal_conn_id
        self.ofac_http_conn_id = ofac_http_conn_id

    def enter(self, act: "Callable[[Runtime], Awaitable[T]]", *, chains: Sequence[str] = ()) -> T:
        """Wire the ports and run `act` in an event loop; translate errors for Airflow."""
        connections = {
            "evm_conn_id": self.evm_conn_id,
            "signer_conn_id": self.signer_conn_id,
            "journal_conn_id": self.journal_conn_id,
            "ofac_http_conn_id": self.ofac_http_conn_id,
        }
        return enter(act, chains=chains, connections=connections)


def enter(
    act: "Callable[[Runtime], Awaitable[T]]",
    *,
    chains: Sequence[str],
    connections: dict[str, Any],
) -> T:
    """Run `act` over ports wired from Airflow's connections.

    Raises:
        AirflowFailException: an error that no retry mends, so Airflow shall not try.
        CwfError: any other; Airflow's next try reconciles first, which makes it safe.
    """
    from airflow_cwf.hooks.settings import read_settings
    from airflow_cwf.wiring import runtime

    async def stay() -> T:
        async with runtime(read_settings(chains=chains, **connections)) as ports:
            return await act(ports)

    with told():
        return asyncio.run(stay())


@contextmanager
def told() -> Iterator[None]:
    """Translate errors for Airflow: what no retry mends, Airflow shall not try again.

    Raises:
        AirflowFailException: an error of class `Retry.NEVER`.
        CwfError: any other.
    """
    try:
        yield
    except CwfError as error:
        if error.retry is Retry.NEVER and not _is_passing(error):
            raise AirflowFailException(str(error)) from error
        raise


def _is_passing(error: CwfError) -> bool:
    """Return whether an agent only waits for another one, whose trouble may pass.

    A node that does not answer for a minute must not fail the siblings for good: the try after
    would pay on that chain alone.
    """
    cause = error.__cause__
    return (
        isinstance(error, PreparationError)
        and isinstance(cause, CwfError)
        and cause.retry is not Retry.NEVER
    )


def run_name(context: "Context") -> str:
    """Return the run's name in the journal: it outlives retries and clears."""
    run = context["dag_run"]
    return f"{run.dag_id}/{run.run_id}"
