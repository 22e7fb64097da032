"""A whole local world: chains, tokens, contract, treasury, people, lists, and the settings."""

import asyncio
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from airflow_cwf import wiring
from airflow_cwf.actions.adopt import adopt_unused
from airflow_cwf.actions.deploy import allow_batch_payment, deploy_contracts
from airflow_cwf.core.contracts import anchor_address
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.localnet.anvil import DEV_ACCOUNTS, PROJECT_ROOT, LocalChain, start_anvil
from airflow_cwf.localnet.people import Payroll, RowKind, make_payroll, make_sanctions_files
from airflow_cwf.localnet.processes import LocalProcesses
from airflow_cwf.localnet.tokens import LocalToken, deploy_usdc

CHAIN_IDS: Final = {"ethereum": 1, "polygon": 137, "arbitrum": 42161}
BLOCK_TIME_S: Final = 0.5
DEPLOYER: Final = DEV_ACCOUNTS[3]
"""Deploys the contract and submits the permit; another account issues the token."""
PAYER: Final = DEV_ACCOUNTS[0]
"""The treasury. It signs nothing but what the engine records."""
UNITS_PER_CENT: Final = 10_000
KEYSTORE_COST: Final = 2**12
"""The key is published anyway; a dear keystore would only slow every task down."""


@dataclass(frozen=True)
class LocalWorld:
    """Everything a payroll needs, ready to be paid."""

    home: Path
    chains: dict[str, LocalChain]
    tokens: dict[str, LocalToken]
    payroll: Payroll
    payroll_file: Path
    sanctions: Path
    """Folder of sdn.csv and sdn_comments.csv."""
    trust: Path
    """What a verifier in this world believes: the development key, the contracts, the payer."""
    environment: dict[str, str]
    """The `CWF_*` variables of a process in this world."""


def build_world(
    processes: LocalProcesses,
    *,
    folder: Path,
    employees: int,
    chains: Sequence[str] = tuple(CHAIN_IDS),
    seed: str = "demo",
) -> LocalWorld:
    """Start the chains and make everything that a payroll of `employees` needs.

    The treasury gets exactly what the good and the blacklisted people are owed, and
    `BatchPayment` an allowance of exactly that, by permit: the payer's nonce stays 0.

    Raises:
        CwfError: a part is not installed or does not come up.
    """
    home = folder / "cwf"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    nodes = {
        name: start_anvil(processes, chain_id=CHAIN_IDS[name], name=name, block_time=BLOCK_TIME_S)
        for name in chains
    }
    tokens = {name: deploy_usdc(node) for name, node in nodes.items()}
    payroll = make_payroll(employees, chains=chains, seed=seed)
    payroll_file = folder / "payroll.csv"
    payroll_file.write_bytes(payroll.csv)
    sanctions = _write_sanctions(folder / "ofac", payroll)
    (home / "chains.json").write_text(_chain_table(tokens), encoding="utf-8")
    environment = _environment(home, nodes, sanctions)
    trust = _write_trust(home / "trust.json", nodes)
    world = LocalWorld(home, nodes, tokens, payroll, payroll_file, sanctions, trust, environment)
    settings = wiring.settings_from_environment(environment)
    wiring.migrate_journal(settings)
    asyncio.run(_furnish(world))
    return world


async def _furnish(world: LocalWorld) -> None:
    settings = wiring.settings_from_environment(world.environment)
    async with wiring.runtime(settings) as runtime:
        await asyncio.gather(*(_furnish_chain(name, world, runtime) for name in world.chains))


async def _furnish_chain(name: str, world: LocalWorld, runtime: Runtime) -> None:
    payroll = world.payroll
    deployer = wiring.private_key_signer(DEPLOYER.private_key)
    await deploy_contracts(name, deployer=deployer, runtime=runtime)
    cents = payroll.total_cents(chain=name)
    cents += payroll.total_cents(chain=name, kind=RowKind.BLACKLISTED)
    token = world.tokens[name]
    if cents:
        token.mint(PAYER.address, cents * UNITS_PER_CENT)
        await allow_batch_payment(
            name,
            token=runtime.chains[name].token("USDC"),
            amount=cents * UNITS_PER_CENT,
            submitter=deployer,
            runtime=runtime,
        )
    for reference in payroll.references(RowKind.BLACKLISTED):
        if payroll.chains[reference] == name:
            token.blacklist(payroll.addresses[reference])
    await adopt_unused(name, runtime=runtime)


def _write_sanctions(folder: Path, payroll: Payroll) -> Path:
    listed = [payroll.addresses[ref] for ref in payroll.references(RowKind.SANCTIONED)]
    sdn, comments = make_sanctions_files(listed)
    folder.mkdir(exist_ok=True)
    (folder / "sdn.csv").write_bytes(sdn)
    (folder / "sdn_comments.csv").write_bytes(comments)
    return folder


def prover_place() -> Path:
    """Return the folder of the prover that all local worlds share.

    `CWF_PROVER`, else `.cache/prover` of the checkout, else one in the user's cache.
    """
    given = os.environ.get("CWF_PROVER")
    if given:
        return Path(given)
    if (PROJECT_ROOT / "circuits").is_dir():
        return PROJECT_ROOT / ".cache" / "prover"
    return Path("~/.cache/cwf/prover").expanduser()


def _write_trust(place: Path, nodes: dict[str, LocalChain]) -> Path:
    anchor = anchor_address(wiring.load_contract("WorkflowAnchor"))
    caip2 = nodes[_anchor_chain(nodes)].caip2
    document = json.loads(files("airflow_cwf").joinpath("data", "trust.json").read_text())
    document["contracts"] = [f"{caip2}:{anchor}"]
    document["submitters"] = [f"{caip2}:{PAYER.address.lower()}"]
    place.write_bytes(canonical_bytes(document))
    return place


def _anchor_chain(nodes: dict[str, LocalChain]) -> str:
    return next(iter(nodes))


def _chain_table(tokens: dict[str, LocalToken]) -> str:
    return json.dumps(
        {
            name: {
                "block_time_s": BLOCK_TIME_S,
                "tokens": {"USDC": {"address": token.address, "decimals": 6}},
            }
            for name, token in tokens.items()
        },
        indent=1,
    )


def _environment(home: Path, nodes: dict[str, LocalChain], sanctions: Path) -> dict[str, str]:
    password = secrets.token_urlsafe(16)
    key = bytes.fromhex(PAYER.private_key.removeprefix("0x"))
    keystore = home / "payer.json"
    keystore.write_text(wiring.write_keystore(key, password, scrypt_n=KEYSTORE_COST))
    password_file = home / "payer.password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    return {
        "CWF_HOME": str(home),
        "CWF_SIGNER": str(keystore),
        "CWF_SIGNER_PASSWORD_FILE": str(password_file),
        "CWF_OFAC": str(sanctions),
        "CWF_OFAC_MIN_ENTRIES": "100",
        "CWF_ENVIRONMENT": "development",
        "CWF_ANCHOR_CHAIN": _anchor_chain(nodes),
        "CWF_PROVER": str(prover_place()),
        **{f"CWF_RPC_{name.upper()}": node.url for name, node in nodes.items()},
    }
