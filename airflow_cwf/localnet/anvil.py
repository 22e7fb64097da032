"""Local EVM chains: Foundry's anvil with its published development accounts."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from airflow_cwf.core.errors import ConfigError
from airflow_cwf.localnet.processes import (
    ChildProcess,
    LocalProcesses,
    free_port,
    wait_for,
)

PROJECT_ROOT: Final = Path(__file__).resolve().parents[2]
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_START_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class DevAccount:
    """An account whose private key the whole world knows."""

    address: str
    """EIP-55 checksummed."""
    private_key: str
    """`0x` and 64 hex digits."""


# Not secrets: the keys that anvil and hardhat derive from the published mnemonic "test test test
# test test test test test test test test junk" and print at every start. Whatever they receive on
# a public chain is taken within seconds, so they are for local chains only, never for real money.
DEV_ACCOUNTS: Final = tuple(
    DevAccount(address, private_key)
    for address, private_key in (
        (
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",  # gitleaks:allow
        ),
        (
            "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
            "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",  # gitleaks:allow
        ),
        (
            "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
            "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",  # gitleaks:allow
        ),
        (
            "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
            "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",  # gitleaks:allow
        ),
        (
            "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
            "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",  # gitleaks:allow
        ),
        (
            "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc",
            "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",  # gitleaks:allow
        ),
        (
            "0x976EA74026E726554dB657fA54763abd0C3a0aa9",
            "0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",  # gitleaks:allow
        ),
        (
            "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
            "0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",  # gitleaks:allow
        ),
        (
            "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f",
            "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",  # gitleaks:allow
        ),
        (
            "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
            "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",  # gitleaks:allow
        ),
    )
)
"""Anvil's ten accounts, in its own order; each holds 10,000 native coins at start."""


@dataclass(frozen=True, slots=True)
class LocalChain:
    """A running anvil node.

    Raises:
        ConfigError: `url` does not stay on this machine.
    """

    name: str
    """What agents call the chain: `polygon`."""
    chain_id: int
    """EIP-155 chain id."""
    url: str
    """JSON-RPC over HTTP."""
    process: ChildProcess

    def __post_init__(self) -> None:
        """Keep the published keys away from every other machine."""
        require_loopback(self.url)

    @property
    def caip2(self) -> str:
        """CAIP-2 chain id."""
        return f"eip155:{self.chain_id}"


def require_loopback(url: str) -> None:
    """Raise unless `url` is plain HTTP to this very machine.

    Raises:
        ConfigError: it is not; the URL may hold a token and is not printed.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:
        message = (
            "The local test tools use published keys and talk to http://127.0.0.1 only; "
            f"they refuse the host {parts.hostname!r}."
        )
        raise ConfigError(message)


def find_anvil() -> Path:
    """Return the anvil program: `CWF_ANVIL`, else the npm package's, else the one on `PATH`.

    Raises:
        ConfigError: there is none; says how to install it.
    """
    given = os.environ.get("CWF_ANVIL")
    if given:
        return _given(Path(given))
    package = f"@foundry-rs/anvil-{_npm_platform()}"
    for folder in node_modules():
        program = folder / package / "bin" / "anvil"
        if program.is_file():
            return program
    on_path = shutil.which("anvil")
    if on_path:
        return Path(on_path)
    message = (
        "Foundry's anvil is not installed. In a checkout run `make setup`; elsewhere "
        f"`npm install {package}`, or install Foundry (https://getfoundry.sh), or set CWF_ANVIL "
        "to the program's path."
    )
    raise ConfigError(message)


def node_modules() -> Iterator[Path]:
    """Yield the `node_modules` folders to look in: the working directory's, then the checkout's."""
    for folder in dict.fromkeys((Path.cwd(), *Path.cwd().parents, PROJECT_ROOT)):
        candidate = folder / "node_modules"
        if candidate.is_dir():
            yield candidate


def start_anvil(
    processes: LocalProcesses,
    *,
    chain_id: int,
    name: str | None = None,
    block_time: float | None = 0.5,
    options: tuple[str, ...] = (),
) -> LocalChain:
    """Start one chain on a free loopback port and wait until it answers.

    Args:
        processes: ends the node with the others.
        chain_id: EIP-155 chain id that the node shall serve.
        name: the chain's name; `eip155-<chain_id>` by default.
        block_time: seconds between blocks; None mines a block per transaction.
        options: further options of anvil, such as `("--no-mining",)` with `block_time=None`.

    Raises:
        ConfigError: anvil is not installed.
        CwfError: it ends at once, does not answer, or serves another chain id.
    """
    chosen_name = name or f"eip155-{chain_id}"
    port = free_port()
    command: list[str | Path] = [find_anvil(), "--host", "127.0.0.1", "--port", str(port)]
    # One slot per epoch lets `finalized` follow two blocks behind the head instead of 64.
    command += ["--chain-id", str(chain_id), "--slots-in-an-epoch", "1", "--silent"]
    if block_time is not None:
        command += ["--block-time", f"{block_time:g}"]
    child = processes.start(f"anvil-{chosen_name}", [*command, *options])
    chain = LocalChain(chosen_name, chain_id, f"http://127.0.0.1:{port}", child)
    with httpx.Client(trust_env=False, timeout=2) as client:
        served = wait_for(
            f"{child.name} answers",
            lambda: _served_chain_id(client, chain),
            timeout_s=_START_TIMEOUT_S,
            interval_s=0.02,
        )
    if served != chain_id:
        message = f"Port {port} serves chain id {served}, not {chain_id}: start again."
        raise ConfigError(message)
    return chain


def _served_chain_id(client: httpx.Client, chain: LocalChain) -> int | None:
    chain.process.require_running()
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    try:
        answer = client.post(chain.url, json=request)
    except httpx.TransportError:
        return None
    return int(answer.json()["result"], 16)


def _given(program: Path) -> Path:
    if not program.is_file():
        message = f"CWF_ANVIL names {program}, which is not a file."
        raise ConfigError(message)
    return program


def _npm_platform() -> str:
    system = "darwin" if sys.platform == "darwin" else "linux"
    machine = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "amd64"
    return f"{system}-{machine}"
