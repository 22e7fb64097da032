"""The circuits that this version proves with, and the digests their files must have."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from airflow_cwf.core.errors import ConfigError

FORMAT: Final = "cwf-circuits/1"


@dataclass(frozen=True, slots=True)
class Circuit:
    """One circuit with its keys. Digests are `0x` hex."""

    id: str
    agents: int
    """The most agents it takes."""
    constraints: int
    development: bool
    """Everybody knows the key's secret: good for demonstrations, and for nothing else."""
    r1cs: str
    """SHA-256 of the compiled constraints."""
    wasm: str
    """SHA-256 of the program that computes witnesses."""
    proving_key: str
    """SHA-256 of the zkey."""
    verification_key: str
    """`vk_digest` of the verification key."""


def parse_circuits(text: str) -> dict[str, Circuit]:
    """Read `data/circuits.json`.

    Raises:
        ConfigError: it is not such a file.
    """
    try:
        document = cast("Mapping[str, Any]", json.loads(text))
        if document["format"] != FORMAT:
            raise ConfigError(f"circuits.json is not of format {FORMAT}.")
        return {name: Circuit(id=name, **entry) for name, entry in document["circuits"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError("circuits.json cannot be read: install the package anew.") from error
