"""A small run to verify: three agents on two chains, six items, and the chains that hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from airflow_cwf.core.errors import RpcError, TransportError
from airflow_cwf.core.evidence.metadata import AgentEvidence, Metadata, build_metadata
from airflow_cwf.core.evidence.outputs import make_output
from airflow_cwf.core.evidence.receipts import make_receipt
from airflow_cwf.core.hashes import keccak256
from airflow_cwf.core.transactions import Block, Log, TransactionReceipt

ETHEREUM, POLYGON = "eip155:1", "eip155:137"
TRANSFER = "0x" + keccak256(b"Transfer(address,address,uint256)").hex()
PAYER = "0x" + "aa" * 20
TOKEN = "0x" + "cc" * 20
SCREENING = [{"list": "OFAC SDN", "published": 1_760_000_000, "sha256": "0x" + "5d" * 32}]
CREATED_AT = 1_764_000_000


def salt(number: int) -> str:
    return f"0x{number:032x}"


def hash_of(number: int) -> str:
    return f"0x{number:064x}"


def payee(number: int) -> str:
    return f"0x{0xBEEF0000 + number:040x}"


def receipt(number: int, *, chain: str, status: str = "settled", tx: int | None, log: int | None):
    return make_receipt(
        salt=salt(1000 + number),
        key=f"payroll/2026-11/emp-{number}",
        scope=f"0x{chain.encode().hex():0<64}",
        item=number,
        chain=chain,
        asset=f"{chain}/erc20:{TOKEN}",
        payer=f"{chain}:{PAYER}",
        payee=f"{chain}:{payee(number)}",
        amount=str(2_500_000_000 + number),
        status=status,
        reason=None if status == "settled" else "sanctioned",
        tx_hash=None if tx is None else hash_of(tx),
        log=log,
    )


def output(name: str, *, number: int, txs: Sequence[int] = (), **changes):
    chain = changes["chain"]
    members = {
        "salt": salt(number),
        "agent_name": name,
        "agent_id": f"{chain}:{PAYER}" if chain else name,
        "tx_hash": hash_of(txs[0]) if txs else None,
        "tx_hashes": [hash_of(tx) for tx in txs],
        "fee": 1_234_567 * number,
        "time_us": 12_345_678 + number,
        "error": None,
        "further": {"items": number, "notes": {"batches": [number, None, True]}},
    }
    return make_output(**(members | changes))


def agents() -> list[AgentEvidence]:
    ethereum = [
        receipt(0, chain=ETHEREUM, tx=1, log=0),
        receipt(1, chain=ETHEREUM, tx=1, log=1),
        receipt(2, chain=ETHEREUM, tx=2, log=1),
    ]
    polygon = [
        receipt(3, chain=POLYGON, tx=3, log=0),
        receipt(4, chain=POLYGON, status="failed", tx=None, log=None),
        receipt(5, chain=POLYGON, status="unresolved", tx=4, log=None),
    ]
    return [
        AgentEvidence(output("ComplianceAgent", number=1, chain=None, fee=0)),
        AgentEvidence(
            output("PaymentAgent@ethereum", number=2, chain=ETHEREUM, txs=(1, 2)), ethereum
        ),
        AgentEvidence(
            output(
                "PaymentAgent@polygon", number=3, chain=POLYGON, txs=(3,), error="1 item sanctioned"
            ),
            polygon,
        ),
    ]


def metadata(evidence: Sequence[AgentEvidence] | None = None) -> Metadata:
    return build_metadata(
        agents() if evidence is None else evidence,
        screening=SCREENING,
        supersedes=None,
        created_at=CREATED_AT,
    )


def transfer(number: int, *, position: int) -> Log:
    words = tuple("0x" + account[2:].rjust(64, "0") for account in (PAYER, payee(number)))
    amount = (2_500_000_000 + number).to_bytes(32, "big")
    return Log(TOKEN, (TRANSFER, *words), amount, position)


def transaction(number: int, *, height: int, logs: Sequence[Log]) -> TransactionReceipt:
    return TransactionReceipt(
        hash=hash_of(number),
        sender=PAYER,
        block_number=height,
        block_hash=hash_of(10_000 + height),
        succeeded=True,
        gas_used=100_000,
        effective_gas_price=10**9,
        l1_fee=0,
        logs=tuple(logs),
    )


@dataclass
class FinalChain:
    """A chain that has stopped: transactions, a finalized height, and nothing else."""

    id: int
    transactions: dict[str, TransactionReceipt]
    finalized: int = 100
    forked: dict[int, str] = field(default_factory=dict)
    """Heights at which another block is canonical."""
    down: bool = False

    async def chain_id(self) -> int:
        if self.down:
            raise TransportError("https://user:secret@node refused", chain=f"eip155:{self.id}")
        return self.id

    async def client_version(self) -> str:
        return "FinalChain"

    async def genesis(self) -> str:
        return hash_of(10_000)

    async def block(self, number: int | str) -> Block:
        height = self.finalized if isinstance(number, str) else number
        if height > self.finalized + 10:
            raise RpcError("no such block", chain=f"eip155:{self.id}")
        return Block(height, self.forked.get(height, hash_of(10_000 + height)), 0, 0)

    async def receipts(self, hashes: Sequence[str]) -> dict[str, TransactionReceipt]:
        return {name: self.transactions[name] for name in hashes if name in self.transactions}

    def replace(self, number: int, **changes) -> None:
        """Let transaction `number` be another than it was."""
        name = hash_of(number)
        self.transactions[name] = replace(self.transactions[name], **changes)


def chains() -> Mapping[str, FinalChain]:
    noise = Log("0x" + "bb" * 20, (hash_of(9),), b"", 0)
    ethereum = [
        transaction(1, height=10, logs=[transfer(0, position=0), transfer(1, position=1)]),
        transaction(2, height=11, logs=[noise, transfer(2, position=1)]),
    ]
    polygon = [transaction(3, height=12, logs=[transfer(3, position=0)])]
    return {
        ETHEREUM: FinalChain(1, {item.hash: item for item in ethereum}),
        POLYGON: FinalChain(137, {item.hash: item for item in polygon}),
    }
