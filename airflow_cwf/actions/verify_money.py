"""Check 13: every transaction that a receipt names is final, and its events equal the receipts.

Only chains contradict: a transaction that a node does not know, or that is not final yet, is
unknown, not false. A false claim on one chain outweighs an unanswered question on another.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from airflow_cwf.actions.verify_report import UnknownError
from airflow_cwf.core.errors import ChainError, VerificationError
from airflow_cwf.core.evidence.receipts import FAILED, SETTLED, UNRESOLVED, Receipt
from airflow_cwf.core.evidence.record import chain_number
from airflow_cwf.core.hashes import keccak256
from airflow_cwf.core.ports import ChainClient
from airflow_cwf.core.transactions import Log, TransactionReceipt

TRANSFER_TOPIC: Final = f"0x{keccak256(b'Transfer(address,address,uint256)').hex()}"
"""https://eips.ethereum.org/EIPS/eip-20"""
_HASHES_PER_CALL: Final = 200


def names_money(receipt: Receipt) -> bool:
    """Tell whether a receipt claims something that a chain can contradict.

    An unresolved item claims nothing: its transaction may be anywhere.
    """
    if receipt["status"] == UNRESOLVED:
        return False
    return receipt["tx_hash"] is not None or _is_paid(receipt)


async def check_money(receipts: Sequence[Receipt], chains: Mapping[str, ChainClient]) -> str:
    """Open the transactions of all receipts and compare.

    Args:
        receipts: receipts that held (check 10) and name money (`names_money`).
        chains: CAIP-2 to client.

    Returns:
        What was shown.

    Raises:
        VerificationError: check 13; a chain contradicts a receipt.
        UnknownError: nothing contradicts, but not everything could be opened.
    """
    _check_claimed_events(receipts)
    by_chain: dict[str | None, list[Receipt]] = {}
    for receipt in receipts:
        by_chain.setdefault(receipt["chain"], []).append(receipt)
    unknown: list[str] = []
    for chain, group in sorted(by_chain.items(), key=lambda entry: entry[0] or ""):
        try:
            await _check_chain(chain, group, chains)
        except UnknownError as error:
            unknown.append(str(error))
    if unknown:
        raise UnknownError(unknown[0])
    settled = sum(receipt["status"] == SETTLED for receipt in receipts)
    transactions = len({(receipt["chain"], receipt["tx_hash"]) for receipt in receipts})
    return f"{settled} settled items in {transactions} final transactions equal their events"


def _check_claimed_events(receipts: Sequence[Receipt]) -> None:
    """Check that each payment names an event and that no event is claimed twice."""
    events = []
    for receipt in receipts:
        if not _is_paid(receipt):
            continue
        if receipt["tx_hash"] is None:
            raise VerificationError("A settled payment names no transaction.", check=13)
        if _is_erc20(receipt):
            if receipt["log"] is None:
                raise VerificationError("A settled payment names no event.", check=13)
            events.append((receipt["chain"], receipt["tx_hash"], receipt["log"]))
    if len(set(events)) != len(events):
        raise VerificationError("Two receipts claim one event.", check=13)


async def _check_chain(
    chain: str | None, receipts: Sequence[Receipt], chains: Mapping[str, ChainClient]
) -> None:
    if chain is None or not chain.startswith("eip155:"):
        raise UnknownError("This version opens transactions of eip155 chains only.")
    if chain not in chains:
        raise UnknownError(f"No node for {chain}; name one: --rpc {chain}=URL.")
    try:
        opened, absent = await _open(chain, _hashes(receipts), chains[chain])
    except ChainError as error:
        raise UnknownError(f"The node for {chain} gave no usable answer.") from error
    claimed = {(receipt["tx_hash"], receipt["log"]) for receipt in receipts if _is_paid(receipt)}
    for receipt in receipts:
        if (transaction := opened.get(receipt["tx_hash"] or "")) is not None:
            _compare(receipt, transaction, claimed)
    if absent:
        message = f"{chain}: {absent} transaction(s) are not final or not known to this node."
        raise UnknownError(message)
    if any(_is_paid(receipt) and not _is_erc20(receipt) for receipt in receipts):
        raise UnknownError(f"{chain}: this version compares ERC-20 transfers only.")


def _hashes(receipts: Sequence[Receipt]) -> list[str]:
    return sorted({receipt["tx_hash"] for receipt in receipts if receipt["tx_hash"] is not None})


async def _open(
    chain: str, hashes: Sequence[str], client: ChainClient
) -> tuple[dict[str, TransactionReceipt], int]:
    """Return the transactions that are final on the canonical chain, and how many are not.

    The final height is read before the receipts: a block that is final once stays so.
    """
    if await client.chain_id() != chain_number(chain):
        raise UnknownError(f"The node for {chain} serves another chain.")
    final = (await client.block("finalized")).number
    found: dict[str, TransactionReceipt] = {}
    for start in range(0, len(hashes), _HASHES_PER_CALL):
        found |= await client.receipts(hashes[start : start + _HASHES_PER_CALL])
    heights = {found[name].block_number for name in hashes if name in found}
    canonical = {
        height: (await client.block(height)).hash for height in sorted(heights) if height <= final
    }
    opened = {
        name: found[name]
        for name in hashes
        if name in found
        and found[name].hash == name
        and found[name].block_hash == canonical.get(found[name].block_number)
    }
    return opened, len(hashes) - len(opened)


def _compare(
    receipt: Receipt, transaction: TransactionReceipt, claimed: set[tuple[str | None, int | None]]
) -> None:
    if receipt["status"] == SETTLED:
        if not transaction.succeeded:
            raise VerificationError("A settled item's transaction reverted.", check=13)
        if _is_paid(receipt) and _is_erc20(receipt):
            _compare_event(receipt, transaction)
    elif receipt["status"] == FAILED and _paid_unclaimed(receipt, transaction, claimed):
        message = "A receipt says failed, yet its transaction holds that very transfer."
        raise VerificationError(message, check=13)


def _compare_event(receipt: Receipt, transaction: TransactionReceipt) -> None:
    event = next((log for log in transaction.logs if log.position == receipt["log"]), None)
    if event is None or not _is_transfer(event, receipt):
        message = "A settled payment differs from the event that it names, or there is none."
        raise VerificationError(message, check=13)


def _paid_unclaimed(
    receipt: Receipt, transaction: TransactionReceipt, claimed: set[tuple[str | None, int | None]]
) -> bool:
    return any(
        _is_transfer(log, receipt) and (receipt["tx_hash"], log.position) not in claimed
        for log in transaction.logs
    )


def _is_transfer(log: Log, receipt: Receipt) -> bool:
    """Tell whether `log` is the token's own event of exactly this payment."""
    asset, payer, payee = receipt["asset"], receipt["payer"], receipt["payee"]
    if asset is None or payer is None or payee is None or receipt["amount"] is None:
        return False
    return (
        log.address == asset.rpartition(":")[2]
        and log.topics == (TRANSFER_TOPIC, _topic(payer), _topic(payee))
        and log.data == int(receipt["amount"]).to_bytes(32, "big")
    )


def _topic(account: str) -> str:
    """Return an EVM account in CAIP-10 as an indexed address of an event."""
    return "0x" + account.rpartition(":0x")[2].rjust(64, "0")


def _is_paid(receipt: Receipt) -> bool:
    return receipt["status"] == SETTLED and receipt["amount"] is not None


def _is_erc20(receipt: Receipt) -> bool:
    return receipt["asset"] is not None and "/erc20:" in receipt["asset"]
