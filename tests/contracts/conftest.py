"""A session's anvil, the compiled contracts, and a payroll to pay through them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from airflow_cwf.core.batch_outcomes import BatchOutcome, decode_outcome
from airflow_cwf.core.batches import BatchItem, PayCall, encode_pay
from contracts.compile import ROOT, SOURCE, compile_source
from contracts.test.dev_chain import CallRefusedError, DevChain, dev_chain, logs_of

HOSTILE = ROOT / "contracts" / "test" / "HostileTokens.sol"


@pytest.fixture(scope="session")
def _node() -> Iterator[DevChain]:
    with dev_chain() as chain:
        yield chain


@pytest.fixture(scope="session")
def hostile() -> dict[str, Any]:
    """Artifacts of the test tokens, by name."""
    return compile_source(HOSTILE)


@pytest.fixture(scope="session")
def lock_artifact() -> dict[str, Any]:
    return compile_source(SOURCE)["BatchPayment"]


@pytest.fixture(scope="session")
def _deployed(_node: DevChain, lock_artifact: dict[str, Any]) -> tuple[str, str]:
    return _node.deploy(lock_artifact["bytecode"]), _node.deploy_circle()


@pytest.fixture
def chain(_node: DevChain, _deployed: tuple[str, str]) -> Iterator[DevChain]:
    """The node, put back after each test to where it was before."""
    snapshot = _node.rpc("evm_snapshot")
    yield _node
    assert _node.rpc("evm_revert", snapshot)


@pytest.fixture
def lock(_deployed: tuple[str, str]) -> str:
    """Address of `BatchPayment`."""
    return _deployed[0]


@pytest.fixture
def usdc(_deployed: tuple[str, str]) -> str:
    """Address of Circle's token."""
    return _deployed[1]


@dataclass(frozen=True)
class Payroll:
    """One payer, one token and one scope on the dev chain."""

    chain: DevChain
    lock: str
    token: str
    payer: str
    scope: bytes = b"\x51" * 32
    digest: bytes = b"\xd1" * 32

    def call(self, items: Sequence[BatchItem], *, atomic: bool = False) -> PayCall:
        return PayCall(self.token, self.scope, self.digest, atomic, tuple(items))

    def send(self, data: bytes, **kwargs: Any) -> dict[str, Any]:
        return self.chain.send(self.lock, data, sender=self.payer, **kwargs)

    def pay(self, items: Sequence[BatchItem], *, atomic: bool = False) -> BatchOutcome:
        """Pay, and decode the outcome from the real receipt."""
        call = self.call(items, atomic=atomic)
        receipt = self.send(encode_pay(call))
        assert receipt["status"] == "0x1"
        return self.outcome(receipt, call)

    def outcome(self, receipt: dict[str, Any], call: PayCall) -> BatchOutcome:
        return decode_outcome(logs_of(receipt), contract=self.lock, payer=self.payer, call=call)

    def refusal(self, data: bytes) -> bytes:
        """Return the revert data of a call that must revert, and see that sending it does too."""
        with pytest.raises(CallRefusedError) as caught:
            self.chain.call(self.lock, data, sender=self.payer)
        assert self.send(data)["status"] == "0x0"
        return caught.value.data

    def balance(self, account: str) -> int:
        return self.chain.read(self.token, "balanceOf(address)", account)

    def bits(self, word: int = 0) -> int:
        signature = "paid(address,bytes32,uint256)"
        return self.chain.read(self.lock, signature, self.payer, self.scope, word)

    def bound(self) -> int:
        signature = "scopeDigest(address,bytes32)"
        return self.chain.read(self.lock, signature, self.payer, self.scope)

    def but(self, **changes: Any) -> "Payroll":
        return replace(self, **changes)


@pytest.fixture
def funded() -> Callable[[Payroll], Payroll]:
    """Return a function that gives a payroll's payer a million dollars and approves the lock."""

    def fund(payroll: Payroll) -> Payroll:
        payroll.chain.transact(payroll.token, "mint(address,uint256)", payroll.payer, 10**12)
        approve = "approve(address,uint256)"
        payroll.chain.transact(payroll.token, approve, payroll.lock, 2**255, sender=payroll.payer)
        return payroll

    return fund


@pytest.fixture
def payroll(chain: DevChain, lock: str, usdc: str, funded: Callable[[Payroll], Payroll]) -> Payroll:
    """Account 1 has a million dollars and has approved the lock."""
    return funded(Payroll(chain, lock, usdc, chain.accounts[1]))


@pytest.fixture
def with_token(payroll: Payroll, hostile: dict[str, Any]) -> Callable[..., Payroll]:
    """Return the payroll in one of the hostile tokens."""

    def deploy(name: str, *args: tuple[str, Any]) -> Payroll:
        token = payroll.chain.deploy(hostile[name]["bytecode"], *args)
        payroll.chain.transact(token, "mint(address,uint256)", payroll.payer, 10**12)
        return payroll.but(token=token)

    return deploy


@pytest.fixture
def items() -> list[BatchItem]:
    """Ten payments to accounts that never held anything, 100 units and up."""
    return [BatchItem(i, f"0x{0xA110C000 + i:040x}", 100 + i) for i in range(10)]
