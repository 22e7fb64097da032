"""`cwf verify` against the real contract on a real node: an append, its head, its final block."""

from dataclasses import replace

import pytest
from coincurve import PrivateKey

from airflow_cwf.actions.verify import State, verify
from airflow_cwf.actions.verify_fetch import verify_append, verify_file
from airflow_cwf.core.anchors import AppendCall, Head, encode_append
from airflow_cwf.core.evidence.batch_car import batch_blocks
from airflow_cwf.core.evidence.batch_document import LogId, compose_batch
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.car import car_pieces
from airflow_cwf.core.evidence.cid import raw_cid
from airflow_cwf.core.evidence.record import record_of
from contracts.compile import SOURCE, compile_source
from tests.fakes.node_answers import ask
from tests.fakes.proved import NO_KEYS, TERMS, BlockStore, address, as_bytes, planned, proved

pytestmark = pytest.mark.chain

SUBMITTER = PrivateKey.from_hex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
"""Account 1 of every anvil: published, and worth nothing."""
CAIP2 = "eip155:31337"


@pytest.fixture(scope="session")
def artifact():
    return compile_source(SOURCE.with_stem("WorkflowAnchor"))["WorkflowAnchor"]


class Appended:
    """A proved run whose batch was appended by the real contract."""

    def __init__(self, chain, contract):
        self.log = LogId(CAIP2, contract, address(SUBMITTER))
        destination = {
            "chain": CAIP2,
            "contract": contract,
            "submitter": self.log.submitter,
        }
        self.metadata = proved(planned(anchor_to=destination), signer=SUBMITTER)
        record = canonical_bytes(record_of(self.metadata))
        cid = raw_cid(record)
        self.batch = compose_batch(self.log, leaves=[], records=[cid])
        self.blocks = batch_blocks(self.batch, {self.metadata["workflow_id"]: record})
        growth = self.batch.growth
        self.call = AppendCall(
            Head(growth.old_size, growth.old_root),
            Head(growth.size, growth.root),
            self.blocks[0].cid.digest,
        )
        sent = chain.send(contract, encode_append(self.call), sender=self.log.submitter)
        self.tx_hash, self.block = sent["transactionHash"], int(sent["blockNumber"], 16)
        self.metadata["anchor"] = {
            **destination,
            "tx_hash": self.tx_hash,
            "block": self.block,
            "position": 0,
            "path": [],
            "size": growth.size,
            "root": f"0x{growth.root.hex()}",
            "old_size": growth.old_size,
            "old_root": f"0x{growth.old_root.hex()}",
            "consistency": [],
            "batch": str(self.blocks[0].cid),
        }


@pytest.fixture
def made(chain, artifact):
    appended = Appended(chain, chain.deploy(artifact["bytecode"]).lower())
    chain.rpc("anvil_mine", "0x80")
    return appended


@pytest.fixture
def judged(chain, made):
    """Run a verification with a client of the node, and close it again."""
    trust = replace(
        NO_KEYS,
        contracts=frozenset({f"{CAIP2}:{made.log.contract}"}),
        submitters=frozenset({f"{CAIP2}:{made.log.submitter}"}),
    )

    def judge(verification):
        def question(client):
            return verification(replace(TERMS, trust=trust, chains={CAIP2: client}))

        return ask(str(chain._client.base_url), question, chain=CAIP2)

    return judge


def line(result, number):
    return result.lines[number - 1].state, result.lines[number - 1].text


def test_the_anchor_of_a_metadata_is_found_on_the_chain(made, judged):
    result = judged(lambda terms: verify(as_bytes(made.metadata), terms))
    state, text = line(result, 12)
    assert state is State.HELD
    assert f"final block {made.block}" in text
    assert line(result, 9)[0] is line(result, 11)[0] is State.HELD


def test_a_transaction_and_the_file_of_its_batch_belong_together(made, judged):
    car = b"".join(car_pieces(made.blocks[0].cid, made.blocks))
    result = judged(lambda terms: verify_file([car], terms, tx_hash=made.tx_hash))
    assert line(result, 12)[0] is State.HELD


def test_a_transaction_leads_to_its_batch_by_cid(made, judged):
    store = BlockStore({str(block.cid): block.data for block in made.blocks})
    result = judged(lambda terms: verify_append(made.tx_hash, terms, store=store))
    assert line(result, 12)[0] is State.HELD
    assert [name.workflow_id for name in result.records] == [made.metadata["workflow_id"]]


@pytest.mark.parametrize(
    "change",
    [
        {"block": 1},
        {"batch": "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"},
    ],
)
def test_another_block_or_another_batch_is_false(made, judged, change):
    anchor = made.metadata["anchor"] | change
    result = judged(lambda terms: verify(as_bytes(made.metadata | {"anchor": anchor}), terms))
    assert line(result, 12)[0] is State.FALSE
