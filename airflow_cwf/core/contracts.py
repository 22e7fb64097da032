"""The project's own contracts: where they stand and what code must stand there."""

import json
from dataclasses import dataclass
from typing import Final

from airflow_cwf.core.chains import Chain
from airflow_cwf.core.create2 import DETERMINISTIC_DEPLOYER, create2_address
from airflow_cwf.core.errors import ConfigError

SALT: Final = bytes(32)
"""One deployment for everybody: the address follows from the code alone (EIP-1014)."""


@dataclass(frozen=True, slots=True)
class ContractArtifact:
    """A compiled contract."""

    name: str
    init_code: bytes
    code: bytes
    """What `eth_getCode` must answer."""


def parse_artifact(text: str) -> ContractArtifact:
    """Parse an artifact that `make contracts` wrote.

    Raises:
        ConfigError: it is damaged.
    """
    try:
        document = json.loads(text)
        return ContractArtifact(
            name=document["contractName"],
            init_code=bytes.fromhex(document["bytecode"].removeprefix("0x")),
            code=bytes.fromhex(document["deployedBytecode"].removeprefix("0x")),
        )
    except (ValueError, KeyError, AttributeError) as error:
        message = f"A shipped contract artifact is damaged ({error!r}); reinstall airflow-cwf."
        raise ConfigError(message) from error


def anchor_address(artifact: ContractArtifact) -> str:
    """Return where `WorkflowAnchor` stands on every chain: CREATE2 decides by its code alone."""
    return create2_address(DETERMINISTIC_DEPLOYER, SALT, artifact.init_code)


def batch_payment_address(chain: Chain, artifact: ContractArtifact) -> str:
    """Return where `BatchPayment` stands on a chain: its entry's address, else CREATE2's."""
    if chain.batch_payment is not None:
        return chain.batch_payment
    return create2_address(DETERMINISTIC_DEPLOYER, SALT, artifact.init_code)
