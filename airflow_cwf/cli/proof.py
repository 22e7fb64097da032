"""`cwf proof verify`: check any snarkjs Groth16 triple, as strictly as the project's own proofs."""

from pathlib import Path
from typing import Annotated

import typer

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.groth16 import verify as verify_groth16
from airflow_cwf.core.evidence.groth16 import vk_digest
from airflow_cwf.core.evidence.snarkjs_files import (
    MAX_BYTES,
    parse_proof,
    parse_signals,
    parse_verification_key,
)

proof = typer.Typer(name="proof", help="Zero-knowledge proofs.", no_args_is_help=True)


@proof.callback()
def _group() -> None:
    """Keep `verify` a word of its own while it is the only command."""


@proof.command()
def verify(
    *,
    vk: Annotated[Path, typer.Option("--vk", help="verification_key.json")],
    public: Annotated[Path, typer.Option("--public", help="public.json")],
    proof_file: Annotated[Path, typer.Option("--proof", help="proof.json")],
) -> None:
    """Check one Groth16 proof over BN254. Exit 0: it holds; 1: it does not, with the reason.

    What the proof is worth depends on the key: whoever made it may know its secret.
    """
    try:
        key = parse_verification_key(_read(vk))
        signals = parse_signals(_read(public))
        verify_groth16(key, parse_proof(_read(proof_file)), signals)
    except VerificationError as error:
        typer.echo(f"FALSE: {error}")
        raise typer.Exit(1) from error
    except OSError as error:
        typer.echo(f"FALSE: a file cannot be read ({error.strerror}).")
        raise typer.Exit(1) from error
    typer.echo(f"HELD: the proof of {len(signals)} public signals, under key {vk_digest(key)}.")


def _read(path: Path) -> bytes:
    """Read at most one byte more than is allowed: the reader then refuses it."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
