"""GasOracleHook: what gas costs on a chain, by strategy, from its fee history."""

import asyncio

from airflow.sdk import BaseHook

from airflow_cwf.core.errors import CwfError
from airflow_cwf.core.fees import STRATEGIES, parse_strategy
from airflow_cwf.core.transactions import FeeQuote
from airflow_cwf.hooks.settings import read_settings


class GasOracleHook(BaseHook):
    """Fee quotes of one chain over its `evm` connection.

    Args:
        chain: name of the chain.
        evm_conn_id: its connection; None: `evm_<chain>`, then `evm_default`.
    """

    conn_name_attr = "evm_conn_id"
    default_conn_name = "evm_default"
    hook_name = "CWF gas oracle"

    def __init__(self, chain: str = "ethereum", evm_conn_id: str | None = None) -> None:
        super().__init__()
        self.chain = chain
        self.evm_conn_id = evm_conn_id

    def get_conn(self) -> dict[str, FeeQuote]:
        """Return what each strategy without a rule would offer now, wei per gas."""
        return asyncio.run(self._quotes())

    def test_connection(self) -> tuple[bool, str]:
        """Quote all strategies."""
        try:
            quotes = self.get_conn()
        except CwfError as error:
            return False, str(error)
        shown = ", ".join(f"{name} {quote.max_fee_per_gas}" for name, quote in quotes.items())
        return True, f"{self.chain}, wei per gas at most: {shown}"

    async def _quotes(self) -> dict[str, FeeQuote]:
        from airflow_cwf.actions.quote import quote
        from airflow_cwf.wiring import runtime

        settings = read_settings(chains=[self.chain], evm_conn_id=self.evm_conn_id)
        async with runtime(settings) as ports:
            client = ports.client(self.chain)
            return {
                name: await quote(client, parse_strategy(name), cap=ports.policy.max_fee_per_gas)
                for name in STRATEGIES
                if name != "custom"
            }
