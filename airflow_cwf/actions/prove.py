"""Prove a record: a Groth16 proof per chunk of agents, the submitter's signature, the CID."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.evidence.binding import binding, encode_signature, signing_digest
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.cid import raw_cid
from airflow_cwf.core.evidence.groth16 import encode_proofs
from airflow_cwf.core.evidence.record import core_digest, core_of, outputs_of, record_of
from airflow_cwf.core.evidence.statement import Context, Statement, statements
from airflow_cwf.core.runtime import Runtime


async def prove(document: Mapping[str, object], runtime: Runtime) -> dict[str, object]:
    """Return the metadata `document` with proof, signals, signature and CID.

    Args:
        document: metadata in state `recorded`, its circuits and keys named in the core.
        runtime: ports.

    Raises:
        ConfigError: no accepted key, or no prover; says what to do.
        ProverError: the program failed.
    """
    digest = core_digest(core_of(document))
    anchor_to = cast("Mapping[str, object] | None", document["anchor_to"])
    context = Context(
        workflow_id=bytes.fromhex(cast("str", document["workflow_id"])[2:]),
        chain_id=cast("int", document["chain_id"]),
        binding=binding(digest, anchor_to=anchor_to),
    )
    wanted = statements(outputs_of(document), context)
    _require_circuits(document, wanted)
    # The prover is a program of its own, one at a time; it verifies what it made.
    proofs = [await asyncio.to_thread(runtime.prover.prove, statement) for statement in wanted]
    proved = dict(document) | {
        "zk_proof": encode_proofs(proofs),
        "public_signals": [str(signal) for one in wanted for signal in one.signals],
        "signature": None if anchor_to is None else _signature(digest, anchor_to, runtime),
    }
    return proved | {"cid": str(raw_cid(canonical_bytes(record_of(proved))))}


def _require_circuits(document: Mapping[str, object], wanted: Sequence[Statement]) -> None:
    named = cast("Sequence[str]", document["circuits"])
    if list(named) != [statement.circuit for statement in wanted]:
        message = (
            f"This run of {sum(s.signals[1] for s in wanted)} agents needs the circuits "
            f"{', '.join(s.circuit for s in wanted)}, which this version has no key for. The money "
            "has moved and the run is recorded; only the proof is missing."
        )
        raise ConfigError(message)


def _signature(digest: bytes, anchor_to: Mapping[str, object], runtime: Runtime) -> str:
    if runtime.signer.address != anchor_to["submitter"]:
        message = (
            f"This run's record names {anchor_to['submitter']} as its submitter, and the signer is "
            f"{runtime.signer.address}. Nothing is lost. Configure that key, or set the anchor "
            "chain and aggregate again: an unanchored record is then made anew for this one."
        )
        raise ConfigError(message)
    return encode_signature(*runtime.signer.sign_digest(signing_digest(digest)))
