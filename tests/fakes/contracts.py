"""What `BatchPayment` and Circle's token do with a call, in the words of the real ones."""

from copy import deepcopy
from dataclasses import dataclass, field

from airflow_cwf.adapters.evm.codec import decode_signed
from airflow_cwf.core.abi import WORD, address_word, dynamic_bytes, event_topic, selector, uint_word
from airflow_cwf.core.anchors import APPENDED_TOPIC, NO_HEAD, AppendCall, Head
from airflow_cwf.core.batches import BatchItem, PayCall, decode_pay
from airflow_cwf.core.transactions import Log, SignedTransaction, UnsignedTransaction

TRANSFER = event_topic("Transfer(address,address,uint256)")
BATCH = event_topic("Batch(address,bytes32,address,uint256,uint256,uint256)")
FAILED = event_topic("Failed(address,bytes32,uint256,bytes4)")
SKIPPED = event_topic("Skipped(address,bytes32,uint256)")
Counts = tuple[int, int, int]


class Reverted(Exception):  # noqa: N818 - what the EVM says, not a failure of the test
    def __init__(self, reason: str, data: bytes = b"") -> None:
        super().__init__(reason)
        self.data = data or (
            selector("Error(string)") + uint_word(WORD) + dynamic_bytes(reason.encode())
        )


@dataclass
class FakeToken:
    """Circle's token, and the ways in which others misbehave."""

    address: str
    blacklist: set[str] = field(default_factory=set)
    paused: bool = False
    refuses: dict[str, str] = field(default_factory=dict)
    """Payee to the words with which the token reverts, always."""
    refuses_when_mined: set[str] = field(default_factory=set)
    """Payees that a simulation does not see failing."""
    is_mute: bool = False
    """Moves money and answers true without a Transfer event."""
    most_items_when_mined: int | None = None
    """A batch of more runs out of gas in a block, though its simulation did not."""


@dataclass
class Ledger:
    """What a block changes and a reorg takes back."""

    nonces: dict[str, int] = field(default_factory=dict)
    coins: dict[str, int] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    allowances: dict[tuple[str, str], int] = field(default_factory=dict)
    bits: set[tuple[str, bytes, int]] = field(default_factory=set)
    digests: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    """`WorkflowAnchor`'s heads, by submitter."""


class FakeMachine:
    """Runs calls of one contract and one token on a ledger."""

    def __init__(self, contract: str, token: FakeToken) -> None:
        self.contract = contract
        self.token = token

    def answer(self, ledger: Ledger, to: str, data: bytes, sender: str) -> bytes:
        """Return what an `eth_call` answers; `ledger` stays as it is.

        Raises:
            Reverted: the call reverts.
        """
        words = [data[at : at + WORD] for at in range(4, len(data), WORD)]
        if data[:4] == selector("balanceOf(address)"):
            return uint_word(ledger.balances.get(_address(words[0]), 0))
        if data[:4] == selector("allowance(address,address)"):
            return uint_word(ledger.allowances.get((_address(words[0]), _address(words[1])), 0))
        if data[:4] == selector("scopeDigest(address,bytes32)"):
            return ledger.digests.get((_address(words[0]), words[1]), bytes(WORD))
        if data[:4] == selector("transferFrom(address,address,uint256)"):
            owner, payee, amount = _address(words[0]), _address(words[1]), int.from_bytes(words[2])
            self._move(deepcopy(ledger), sender, (owner, payee, amount), mined=False)
            return uint_word(1)
        if data[:4] == selector("head(address)"):
            return _words_of(ledger.heads.get(_address(words[0]), NO_HEAD))
        assert to == self.contract
        _, counts = self.pay(deepcopy(ledger), sender, decode_pay(data), mined=False)
        return b"".join(map(uint_word, counts))

    def pay(
        self, ledger: Ledger, payer: str, call: PayCall, *, mined: bool
    ) -> tuple[list[Log], Counts]:
        """Run `pay` on `ledger`; `mined` is what tokens that lie to simulations look at.

        Raises:
            Reverted: the whole call reverts; `ledger` is then worth nothing.
        """
        bound = ledger.digests.setdefault((payer, call.scope), call.digest)
        if bound != call.digest:
            raise Reverted("other digest", selector("OtherScopeDigest(bytes32)") + bound)
        most = self.token.most_items_when_mined
        if mined and most is not None and len(call.items) > most:
            raise Reverted("out of gas", selector("BatchOutOfGas(uint256)") + uint_word(most))
        about = ("0x" + address_word(payer).hex(), "0x" + call.scope.hex())
        logs: list[Log] = []
        counts = {TRANSFER: 0, FAILED: 0, SKIPPED: 0}
        for item in call.items:
            kind, data = self._item(ledger, payer, call, item, mined=mined)
            counts[kind] += 1
            if kind == TRANSFER:
                payee = "0x" + address_word(item.payee).hex()
                log = Log(call.token, (TRANSFER, about[0], payee), data, len(logs))
            else:
                log = Log(self.contract, (kind, *about), data, len(logs))
            if kind != TRANSFER or not self.token.is_mute:
                logs.append(log)
        data = address_word(call.token) + b"".join(map(uint_word, counts.values()))
        logs.append(Log(self.contract, (BATCH, *about), data, len(logs)))
        return logs, (counts[TRANSFER], counts[FAILED], counts[SKIPPED])

    def _item(
        self, ledger: Ledger, payer: str, call: PayCall, item: BatchItem, *, mined: bool
    ) -> tuple[str, bytes]:
        bit = (payer, call.scope, item.index)
        if bit in ledger.bits:
            return SKIPPED, uint_word(item.index)
        try:
            move = (payer, item.payee, item.amount)
            self._move(ledger, self.contract, move, mined=mined)
        except Reverted as error:
            said = uint_word(item.index) + error.data[:4].ljust(WORD, b"\0")
            if call.atomic:
                data = selector("ItemFailed(uint256,bytes4)") + said
                raise Reverted("item failed", data) from error
            return FAILED, said
        ledger.bits.add(bit)
        return TRANSFER, uint_word(item.amount)

    def _move(
        self, ledger: Ledger, spender: str, move: tuple[str, str, int], *, mined: bool
    ) -> None:
        owner, payee, amount = move
        token = self.token
        held = ledger.balances.get(owner, 0)
        allowed = ledger.allowances.get((owner, spender), 0)
        unseen = mined and payee in token.refuses_when_mined
        rules = (
            (token.paused, "Pausable: paused"),
            (
                not token.blacklist.isdisjoint({spender, owner, payee}),
                "Blacklistable: account is blacklisted",
            ),
            (payee in token.refuses, token.refuses.get(payee, "")),
            (unseen, "the token changed its mind"),
            (amount > held, "ERC20: transfer amount exceeds balance"),
            (amount > allowed, "ERC20: transfer amount exceeds allowance"),
        )
        reason = next((words for broken, words in rules if broken), None)
        if reason is not None:
            raise Reverted(reason)
        ledger.balances[owner] = held - amount
        ledger.allowances[owner, spender] = allowed - amount
        ledger.balances[payee] = ledger.balances.get(payee, 0) + amount


def append(ledger: Ledger, submitter: str, call: AppendCall, *, contract: str) -> list[Log]:
    """Run `WorkflowAnchor.append`: compare the head, and swap it.

    Raises:
        Reverted: another head stands there.
    """
    head = ledger.heads.get(submitter, NO_HEAD)
    if call.old != head:
        other = selector("OtherHead(uint256,bytes32)") + _words_of(head)
        raise Reverted("another head", other)
    ledger.heads[submitter] = call.new
    data = _words_of(call.old) + _words_of(call.new) + call.batch
    topics = (APPENDED_TOPIC, "0x" + address_word(submitter).hex())
    return [Log(contract, topics, data, 0)]


def _words_of(head: Head) -> bytes:
    return uint_word(head.size) + head.root


def _address(word: bytes) -> str:
    return "0x" + word[12:].hex()


_DECODED: dict[bytes, tuple[UnsignedTransaction, str]] = {}


def decoded(transaction: SignedTransaction) -> tuple[UnsignedTransaction, str]:
    """Return what signed bytes say, and who signed them."""
    if transaction.raw not in _DECODED:
        unsigned, sender, tx_hash = decode_signed(transaction.raw)
        assert tx_hash == transaction.hash
        _DECODED[transaction.raw] = unsigned, sender
    return _DECODED[transaction.raw]
