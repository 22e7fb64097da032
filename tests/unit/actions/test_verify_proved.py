"""A proved, signed, anchored run: every member altered, and the line that must fall for it."""

import asyncio
import copy
from dataclasses import replace

import pytest

from airflow_cwf.actions.verify import State, verify
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.groth16 import BASE_ORDER, decode_proofs, encode_proofs
from airflow_cwf.core.evidence.metadata import AgentEvidence
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER
from airflow_cwf.core.evidence.record import record_of
from airflow_cwf.core.evidence.steps import workflow_id
from airflow_cwf.core.evidence.trust import parse_trust
from tests.fakes import evidence
from tests.fakes.forging_key import ForgingKey, randomised, trust_file
from tests.fakes.proved import (
    ANCHOR_TO,
    KEY,
    NO_KEYS,
    OTHER_KEY,
    OTHER_SUBMITTER_KEY,
    SUBMITTER,
    TERMS,
    TRUST,
    as_bytes,
    named,
    planned,
    proved,
    sealed,
    whole,
    with_chains,
)

MADE = whole()
METADATA = MADE.metadata
RECORD = record_of(METADATA)
FILES = evidence.metadata().receipts_files
FAST = replace(TERMS, trust=NO_KEYS)
OFFLINE = replace(TERMS, offline=True)
ZEROS = "0x" + "00" * 32


def report(target, terms=TERMS):
    return asyncio.run(verify(target if isinstance(target, bytes) else as_bytes(target), terms))


def states(result):
    return {line.number: line.state for line in result.lines}


def false_line(result):
    numbers = [line.number for line in result.lines if line.state is State.FALSE]
    assert len(numbers) == 1, result.lines
    assert result.exit_code == 1
    assert {line.state for line in result.lines[numbers[0] :]} <= {State.NOT_CHECKED}
    return numbers[0]


def changed(document, *path, to):
    """A copy in which the member at `path` is another; `to` may compute it from the old."""
    copied = copy.deepcopy(dict(document))
    inner = copied
    for name in path[:-1]:
        inner = inner[name]
    value = to(inner[path[-1]]) if callable(to) else to
    assert value != inner[path[-1]]
    inner[path[-1]] = value
    return copied


def test_all_thirteen_lines_hold():
    result = report(METADATA, with_chains(receipts_files=FILES))
    assert set(states(result).values()) == {State.HELD}
    assert result.exit_code == 0
    assert result.proved


def test_a_bare_record_holds_without_what_was_not_given():
    result = report(RECORD)
    held = [number for number, state in states(result).items() if state is State.HELD]
    assert held == [1, 3, 4, 5, 6, 7, 8, 9]
    assert str(METADATA["cid"]) in result.lines[1].text
    assert result.exit_code == 0


def test_an_anchor_without_a_node_is_unknown_and_offline_it_is_left_out():
    assert states(report(METADATA, FAST))[12] is State.UNKNOWN
    result = report(METADATA, replace(FAST, offline=True))
    assert states(result)[12] is State.NOT_CHECKED


OTHER_STEP = {
    "commitment": "0x" + "01" * 32,
    "output": ZEROS,
    "receipts": ZEROS,
    "settled": lambda number: number + 1,
    "failed": lambda number: number + 1,
    "unresolved": lambda number: number + 1,
}
CORE_CHANGES = [
    (("format",), "cwf/2", 1),
    (("workflow_id",), ZEROS, 3),
    (("chain_id",), 5, 3),
    (("chain_id",), 137, 4),
    (("chains",), ["eip155:1"], 6),
    *((("steps", number, name), to, 3) for number in range(3) for name, to in OTHER_STEP.items()),
    (("steps", 0, "type"), "cwf-step/2", 1),
    (("steps",), lambda steps: steps[::-1], 3),
    (("steps",), lambda steps: steps[:2], 3),
    *((("totals", name), 99, 3) for name in ("n_agents", "settled", "failed", "unresolved")),
    (("totals", "n_success"), 1, 6),
    (("totals", "total_gas"), "1", 6),
    (("totals", "total_time_us"), "1", 6),
    (("circuits",), ["cwf-64"], 4),
    (("circuits",), ["cwf-8", "cwf-8"], 4),
    (("circuits",), [], 4),
    (("verification_keys",), [], 4),
    (("verification_keys",), [OTHER_KEY.digest], 6),
    (("screening",), [], 6),
    (("screening", 0, "list"), "other", 6),
    (("screening", 0, "published"), 1, 6),
    (("screening", 0, "sha256"), ZEROS, 6),
    (("supersedes",), ZEROS, 6),
    (("anchor_to", "chain"), "eip155:137", 6),
    (("anchor_to", "chain"), "cosmos:hub", 6),
    (("anchor_to", "contract"), "0x" + "00" * 20, 6),
    (("anchor_to", "submitter"), "0x" + "00" * 20, 6),
    (("anchor_to",), None, 1),
    (("created_at",), 1, 6),
    (("zk_proof",), "", 1),
    (("zk_proof",), "0x", 4),
    (("zk_proof",), lambda text: text[:-2], 4),
    (("zk_proof",), lambda text: text + text[2:], 4),
    (("public_signals",), [], 4),
    (("public_signals",), lambda signals: signals[:8], 4),
    (("public_signals",), lambda signals: [*signals, "0"], 4),
    (("public_signals", 0), "1", 4),
    *((("public_signals", number), "1", 7) for number in range(1, 7)),
    (("public_signals", 7), "137", 7),
    (("public_signals", 8), "1", 6),
    *((("public_signals", n), lambda s: str(int(s) + FIELD_ORDER), 7) for n in range(1, 8)),
    (("public_signals", 0), lambda text: str(int(text) + FIELD_ORDER), 4),
    (("public_signals", 8), lambda text: str(int(text) + FIELD_ORDER), 6),
    (("public_signals", 3), lambda text: "0" + text, 1),
    (("public_signals", 3), "9" * 79, 1),
    (("signature",), None, 1),
    (("signature",), lambda text: text[:-2], 1),
    (("signature",), lambda text: text[:10] + "0" * 10 + text[20:], 9),
    (("signature",), lambda text: text[:80] + "0" * 10 + text[90:], 9),
    (("signature",), lambda text: text[:-2] + ("1c" if text.endswith("1b") else "1b"), 9),
    (("signature",), lambda text: text[:-2] + "00", 9),
    (("signature",), "0x" + "00" * 65, 9),
]


@pytest.mark.parametrize(("path", "to", "number"), CORE_CHANGES)
def test_every_changed_member_of_a_record_falls_at_its_line(path, to, number):
    document = changed(RECORD, *path, to=to)
    assert false_line(report(document, FAST)) == number


@pytest.mark.parametrize(("path", "to", "number"), CORE_CHANGES)
def test_the_same_change_in_metadata_is_no_longer_what_its_cid_names(path, to, number):
    document = changed(METADATA, *path, to=to)
    assert false_line(report(document, FAST)) == min(number, 2)
    assert false_line(report(named(document), FAST)) == number


@pytest.mark.parametrize("word", range(8))
def test_every_changed_coordinate_of_the_proof_falls_at_8(word):
    start = 2 + 64 * word
    flipped = changed(
        RECORD, "zk_proof", to=lambda text: text[:start] + ZEROS[2:] + text[start + 64 :]
    )
    assert false_line(report(flipped)) == 8


def at_infinity(_text):
    return "0x" + "00" * 256


@pytest.mark.parametrize(
    "to",
    [
        lambda text: text.upper().replace("0X", "0x"),
        lambda text: "0x" + "zz" + text[4:],
        lambda text: "0x" + f"{BASE_ORDER:064x}" + text[66:],
        lambda text: "0x" + "f" * 64 + text[66:],
        at_infinity,
        lambda text: "0y" + text[2:],
        lambda text: "0x" + "é" * 512,
    ],
)
def test_a_proof_out_of_form_falls_at_8(to):
    document = changed(RECORD, "zk_proof", to=to)
    assert false_line(report(document)) == 8
    if to is not at_infinity:
        assert false_line(report(document, FAST)) == 8


def test_another_workflows_proof_falls_at_4():
    other = proved(planned(evidence.agents()[:2]))
    stolen = {name: other[name] for name in ("zk_proof", "public_signals", "signature")}
    assert false_line(report(RECORD | stolen)) == 4


def test_a_rerun_over_the_same_steps_does_not_take_the_old_proof():
    """Same workflow id, same outputs root, another core: only the binding tells."""
    other = proved(planned(created_at=1))
    stolen = {name: other[name] for name in ("zk_proof", "public_signals", "signature")}
    assert false_line(report(RECORD | stolen)) == 6


def test_other_steps_under_the_same_workflow_id_fall_at_3():
    other = proved(planned(evidence.agents()[:2]))
    forged = RECORD | {"steps": other["steps"], "totals": other["totals"]}
    assert false_line(report(forged)) == 3
    signals = [int(text) for text in RECORD["public_signals"]]
    assert false_line(report(record_of(sealed(forged, [signals])))) == 3


def test_other_steps_under_their_own_workflow_id_fall_at_4():
    steps = [RECORD["steps"][0], RECORD["steps"][2], RECORD["steps"][1]]
    forged = RECORD | {"steps": steps, "workflow_id": "0x" + workflow_id(steps).hex()}
    assert false_line(report(forged)) == 4


def test_a_randomised_proof_is_another_record_of_the_same_core():
    (proof,) = decode_proofs(RECORD["zk_proof"], chunks=1)
    again = RECORD | {"zk_proof": encode_proofs([randomised(proof, factor=12345)])}
    assert again != RECORD
    result = report(again)
    assert result.exit_code == 0
    assert result.core_digest == report(RECORD, FAST).core_digest
    assert result.records[0].cid != METADATA["cid"]


def test_a_negated_proof_falls_at_8():
    (proof,) = decode_proofs(RECORD["zk_proof"], chunks=1)
    negated = replace(proof, a=(proof.a[0], BASE_ORDER - proof.a[1]))
    assert false_line(report(RECORD | {"zk_proof": encode_proofs([negated])})) == 8


# Keys


def trusting(*keys, **options):
    entries = {key.digest: key.entry(**options) for key in keys}
    return replace(TERMS, trust=replace(TRUST, keys=parse_trust(trust_file(entries)).keys))


def test_a_key_that_the_trust_file_does_not_list_is_unknown_and_its_proof_not_checked():
    result = report(RECORD, FAST)
    assert states(result)[5] is State.UNKNOWN
    assert states(result)[8] is State.NOT_CHECKED
    assert {states(result)[number] for number in (6, 7, 9)} == {State.HELD}
    assert result.exit_code == 2


def test_a_proof_under_another_key_of_the_same_circuit_falls_at_8():
    """The record names a trusted key, the proof was made under another one."""
    forged = proved(planned(), key=OTHER_KEY)
    assert false_line(report(forged, trusting(KEY, OTHER_KEY))) == 8


def test_an_own_key_is_not_believed_because_the_document_names_it():
    own = proved(planned(key=OTHER_KEY), key=OTHER_KEY)
    assert report(own).exit_code == 2
    assert report(own, trusting(OTHER_KEY)).exit_code == 0


def test_a_swapped_key_in_the_document_falls_at_6():
    swapped = RECORD | {"verification_keys": [OTHER_KEY.digest]}
    assert false_line(report(swapped, trusting(KEY, OTHER_KEY))) == 6


def test_a_development_key_holds_only_with_dev():
    terms = trusting(KEY, development=True)
    assert false_line(report(RECORD, terms)) == 5
    result = report(RECORD, replace(terms, dev=True))
    assert result.exit_code == 0
    assert "DEVELOPMENT" in result.lines[4].text


def test_a_key_trusted_for_another_circuit_falls_at_5():
    assert false_line(report(RECORD, trusting(KEY, circuit="cwf-64"))) == 5


def test_a_key_whose_gamma_is_its_delta_falls_at_5():
    unsafe = ForgingKey(6, gamma=5, delta=5)
    document = proved(planned(key=unsafe), key=unsafe)
    assert false_line(report(document, trusting(unsafe))) == 5


def test_points_under_another_digest_fall_at_5():
    trust = parse_trust(trust_file({KEY.digest: OTHER_KEY.entry()}))
    assert false_line(report(RECORD, replace(TERMS, trust=trust))) == 5


# Whoever knows the key's secret: the other lines still tell


def forged_totals(**totals):
    document = planned()
    document["totals"] = document["totals"] | totals
    return document


@pytest.mark.parametrize("member", ["total_gas", "total_time_us"])
def test_totals_that_the_signals_do_not_add_up_to_fall_at_7(member):
    assert false_line(report(proved(forged_totals(**{member: "1"})))) == 7


def test_totals_and_signals_forged_together_fall_at_10_by_the_outputs():
    document = forged_totals(total_gas="1")
    signals = [int(text) for text in proved(document)["public_signals"]]
    signals[3] = 1
    forged = sealed(document, [signals])
    assert false_line(report(forged)) == 10
    assert report(record_of(forged)).exit_code == 0


# Who signed


def test_another_signer_falls_at_9():
    assert false_line(report(proved(planned(), signer=OTHER_SUBMITTER_KEY), FAST)) == 9


@pytest.mark.parametrize("member", ["contracts", "submitters"])
def test_a_submitter_or_contract_that_is_not_listed_is_unknown(member):
    trust = replace(TRUST, **{member: frozenset()})
    result = report(RECORD, replace(TERMS, trust=replace(trust, keys={})))
    assert states(result)[9] is State.UNKNOWN
    assert result.exit_code == 2


def test_nobody_signs_a_record_without_destination_and_that_must_be_accepted():
    document = proved(planned(anchor_to=None))
    accepted = report(document, replace(TERMS, unsigned=True))
    assert states(accepted)[9] is State.NOT_CHECKED
    assert accepted.exit_code == 0
    assert replace(accepted, unsigned=True).exit_code == 2
    assert report(document, FAST).unsigned
    assert not report(document, replace(FAST, unsigned=True)).unsigned


def test_dropping_destination_and_signature_falls_at_6():
    assert false_line(report(RECORD | {"anchor_to": None, "signature": None})) == 6


# Outputs and anchor


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("member", ["gas_used", "execution_time", "salt", "further"])
def test_every_changed_output_falls_at_10(number, member):
    values = {"salt": evidence.salt(77), "items": 99, "notes": {}}
    name = member if member != "further" else "items"
    document = changed(METADATA, "agent_outputs", number, name, to=values.get(name, 1))
    assert false_line(report(document, FAST)) == 10


ANCHOR_CHANGES = [
    ("chain", "eip155:137", 11),
    ("chain", "cosmos:hub", 1),
    ("contract", "0x" + "00" * 20, 11),
    ("submitter", "0x" + "00" * 20, 11),
    ("tx_hash", ZEROS, None),
    ("block", 51, 12),
    ("position", lambda number: number + 1, 11),
    ("position", 0, 11),
    ("path", [], 11),
    ("path", lambda path: path[::-1], 11),
    ("path", lambda path: [*path, ZEROS], 11),
    ("size", lambda number: number + 1, 11),
    ("size", 2**53 - 1, 11),
    ("root", ZEROS, 11),
    ("old_size", lambda number: number - 1, 11),
    ("old_size", 0, 11),
    ("old_root", ZEROS, 11),
    ("consistency", [], 11),
    ("consistency", lambda proof: [*proof, ZEROS], 11),
    ("batch", lambda cid: RECORD_CID, 1),
    ("batch", "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 12),
]
RECORD_CID = METADATA["cid"]


@pytest.mark.parametrize(("member", "to", "number"), ANCHOR_CHANGES)
def test_every_changed_member_of_the_anchor_falls_at_its_line(member, to, number):
    document = changed(METADATA, "anchor", member, to=to)
    result = report(document, with_chains(trust=NO_KEYS))
    if number is None:
        assert states(result)[12] is State.UNKNOWN
    else:
        assert false_line(result) == number


def test_another_records_anchor_falls_at_11():
    other = proved(planned(created_at=1)) | {"anchor": METADATA["anchor"]}
    assert false_line(report(other, FAST)) == 11


def test_a_changed_cid_falls_at_2():
    other = named(proved(planned(created_at=1)))["cid"]
    assert false_line(report(METADATA | {"cid": other}, FAST)) == 2
    assert false_line(report(METADATA | {"cid": None}, FAST)) == 2
    assert false_line(report(METADATA | {"cid": "bafy"}, FAST)) == 2


# Several chunks


def test_sixty_five_agents_are_two_proofs():
    agents = [
        AgentEvidence(evidence.output(f"Agent {n:02}", number=n + 1, chain=None)) for n in range(65)
    ]
    wide = ForgingKey(9)
    document = planned(agents)
    document["verification_keys"] = [wide.digest, KEY.digest]
    made = proved(document, key=wide)
    signals = [[int(s) for s in made["public_signals"][at : at + 9]] for at in (0, 9)]
    proofs = [wide.prove(signals[0]), KEY.prove(signals[1])]
    made = record_of(made) | {"zk_proof": encode_proofs(proofs)}
    trust = parse_trust(
        trust_file({wide.digest: wide.entry(circuit="cwf-64"), KEY.digest: KEY.entry()})
    )
    terms = replace(TERMS, trust=replace(TRUST, keys=trust.keys))
    assert made["circuits"] == ["cwf-64", "cwf-8"]
    assert report(made, terms).exit_code == 0
    moved = copy.deepcopy(made)  # fees moved from one chunk to the other: the sums still fit
    moved["public_signals"][3] = str(signals[0][3] - 1)
    moved["public_signals"][12] = str(signals[1][3] + 1)
    assert false_line(report(moved, terms)) == 8


def test_nothing_private_is_printed():
    private = [evidence.PAYER[2:], evidence.payee(1)[2:], "emp-", "PaymentAgent", "2500000001"]
    result = report(METADATA, with_chains(trust=NO_KEYS, receipts_files=FILES))
    assert not [word for word in private if word in str(result.to_json())]
    assert SUBMITTER in str(result.to_json())


def test_the_record_of_the_metadata_is_canonical_for_strangers():
    assert canonical_bytes(RECORD) == MADE.records[RECORD["workflow_id"]]
    assert RECORD["anchor_to"] == ANCHOR_TO
