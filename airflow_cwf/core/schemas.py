"""The two models that authors of agents and readers of results see. The only pydantic in core.

They are a view: what is stored and hashed is the metadata's canonical bytes, with whole numbers.
Members beyond the documented ones (salts, steps, totals) travel along untouched, so bytes to model
to bytes is the identity.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS
from airflow_cwf.core.evidence.record import parse_document

_LIMIT: Final = 2**52 - 1
"""Fees and times up to here are exact as floats and come back without loss."""

Gwei = Annotated[float, Field(ge=0, le=_LIMIT, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(ge=0, le=_LIMIT / 1000, allow_inf_nan=False)]


class AgentOutputSchema(BaseModel):
    """What one agent did. Further members are allowed and kept."""

    model_config = ConfigDict(extra="allow")

    agent_id: str
    """The agent's on-chain identifier, or its name."""
    tx_hash: str | None
    """The first settled transaction by nonce; all of them in `tx_hashes`."""
    gas_used: Gwei
    """The whole fee in gwei: 10^-9 of the chain's native coin."""
    execution_time: Milliseconds
    """Milliseconds."""
    error: str | None
    """Why something failed or stays open; None if everything settled."""

    @property
    def fee(self) -> int:
        """`gas_used` in whole gwei, a fraction rounded up: what is hashed."""
        return math.ceil(self.gas_used)

    @property
    def time_us(self) -> int:
        """`execution_time` in whole microseconds, rounded half-even: what is hashed.

        Halves are those of the decimal text: 0.0005 is half a microsecond, though no float is.
        """
        return round(Fraction(repr(self.execution_time)) * 1000)


class WorkflowMetadata(BaseModel):
    """What a run leaves. Private: outputs and salts stand in it."""

    model_config = ConfigDict(extra="allow")

    workflow_id: str
    """The workflow's Merkle root (SHA3-256 over its steps)."""
    chain_id: int
    """Primary chain: where most items settled."""
    agent_outputs: list[AgentOutputSchema]
    zk_proof: str
    """Groth16 proof; empty as long as the run is recorded but not proved."""

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read stored metadata.

        Raises:
            VerificationError: check 1; the bytes are not canonical metadata.
        """
        return cls.from_document(parse_document(data))

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Self:
        """Return the model of a metadata object that `parse_document` has read.

        Raises:
            VerificationError: check 1; the object is no metadata.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            message = f"This is no metadata: {error.error_count()} members are missing or wrong."
            raise VerificationError(message, check=1) from error

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: the very ones that `from_bytes` read.

        Raises:
            VerificationError: check 1; a member was set to something without a canonical form.
        """
        document = self.model_dump()
        document["agent_outputs"] = [
            _exact_figures(output, shown)
            for output, shown in zip(self.agent_outputs, document["agent_outputs"], strict=True)
        ]
        return canonical_bytes(document, float_members=VIEW_FLOATS)


def _exact_figures(output: AgentOutputSchema, shown: Mapping[str, Any]) -> dict[str, object]:
    """Return a dumped output with `gas_used` and `execution_time` as the stored bytes have them."""
    milliseconds, rest = divmod(output.time_us, 1000)
    exact = Decimal(output.time_us) / 1000 if rest else milliseconds
    return {**shown, "gas_used": output.fee, "execution_time": exact}
