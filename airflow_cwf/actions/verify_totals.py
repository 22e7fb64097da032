"""What the totals of a record mean: fees in different coins add up to no amount."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from airflow_cwf.actions.verify_subject import Subject
from airflow_cwf.core.evidence.outputs import Output

_UNITS: Final = 10**9
"""`fee` counts 10^-9 of the native coin."""


def explain_totals(subject: Subject, natives: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence if `total_gas` adds different coins, with the fees per chain.

    Args:
        subject: record, with outputs if they were given. Without them no fee is known per chain.
        natives: CAIP-2 to symbol; a chain that is not listed counts as a coin of its own.
    """
    chains = cast("Sequence[str]", subject.document["chains"])
    coins = sorted({natives.get(chain, f"coin of {chain}") for chain in chains})
    if len(coins) == 1:
        return ()
    note = f"totals.total_gas adds {', '.join(coins)}: a checksum, not an amount."
    if subject.outputs is None:
        return (f"{note} Fees per chain stand in the outputs, which were not given.",)
    fees = [
        f"{chain} {_coins(subject, chain)} {natives.get(chain, '')}".strip() for chain in chains
    ]
    return (f"{note} Fees per chain: {'; '.join(fees)}.",)


def _coins(subject: Subject, chain: str) -> str:
    outputs = cast("Sequence[Output]", subject.outputs)
    whole, rest = divmod(sum(one["fee"] for one in outputs if one["chain"] == chain), _UNITS)
    return f"{whole}.{rest:09d}"
