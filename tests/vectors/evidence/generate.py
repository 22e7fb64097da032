"""Make `proved.json`: `python tests/vectors/evidence/generate.py PROVER_FOLDER`.

The run of `tests/fakes/evidence.py`, proved by snarkjs under the development key that this package
ships, signed and anchored as in `tests/fakes/proved.py`.
"""

import sys
from pathlib import Path

from airflow_cwf.core.evidence.binding import binding
from airflow_cwf.core.evidence.groth16 import encode_proofs
from airflow_cwf.core.evidence.record import core_digest, core_of, outputs_of
from airflow_cwf.core.evidence.statement import Context, statements
from airflow_cwf.wiring.prover import load_circuits, open_prover
from tests.fakes.proved import anchored, as_bytes, named, planned, sealed


def main(place: str) -> None:
    """Prove and write."""
    document = planned()
    document["verification_keys"] = [load_circuits()["cwf-8"].verification_key]
    context = Context(
        bytes.fromhex(document["workflow_id"][2:]),
        document["chain_id"],
        binding(core_digest(core_of(document)), anchor_to=document["anchor_to"]),
    )
    (statement,) = statements(outputs_of(document), context)
    proof = open_prover(place, environment="development").prove(statement)
    made = sealed(document, [statement.signals]) | {"zk_proof": encode_proofs([proof])}
    target = Path(__file__).with_name("proved.json")
    target.write_bytes(as_bytes(anchored(named(made)).metadata))


if __name__ == "__main__":
    main(sys.argv[1])
