"""The log only grows: an oracle written from RFC 6962, checked on published vectors, judges."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_path,
    tree_root,
    verify_consistency,
    verify_growth,
    verify_inclusion,
)

FOLDER = Path(__file__).parents[3] / "vectors/rfc6962"
TREE = json.loads((FOLDER / "certificate_transparency.json").read_bytes())
VECTORS = json.loads((FOLDER / "consistency.json").read_bytes())
LEAVES = [hashlib.sha3_256(b"\0" + bytes([number])).digest() for number in range(64)]
ROOTS = [tree_root(LEAVES[:size]) for size in range(65)]

sizes = st.integers(0, 64).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size)))


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(leaves, hasher):
    """RFC 6962, section 2.1, as printed, over leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hasher(b"\x01" + mth(leaves[:k], hasher) + mth(leaves[k:], hasher)).digest()


def subproof(m, leaves, b, hasher):
    """RFC 6962, section 2.1.2, as printed."""
    if m == len(leaves):
        return [] if b else [mth(leaves, hasher)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], b, hasher), mth(leaves[k:], hasher)]
    return [*subproof(m - k, leaves[k:], False, hasher), mth(leaves[:k], hasher)]


def claim(old_size, size, **changes):
    return {
        "proof": consistency_proof(LEAVES[:size], old_size),
        "old_size": old_size,
        "old_root": ROOTS[old_size],
        "size": size,
        "root": ROOTS[size],
    } | changes


def refuse(claimed):
    with pytest.raises(VerificationError) as refused:
        verify_consistency(**claimed, check=11)
    assert refused.value.check == 11


def flip(part):
    return bytes([part[0] ^ 1]) + part[1:]


def test_the_oracle_gives_the_published_proofs():
    leaves = [hashlib.sha256(b"\0" + bytes.fromhex(leaf)).digest() for leaf in TREE["leaves"]]
    for case in VECTORS["proofs"]:
        proof = subproof(case["old_size"], leaves[: case["size"]], True, hashlib.sha256)
        assert [part.hex() for part in proof] == case["proof"]


@pytest.mark.parametrize("size", range(1, 41))
def test_every_older_tree_is_proved_as_in_rfc_6962(size):
    for old_size in range(1, size + 1):
        proof = subproof(old_size, LEAVES[:size], True, hashlib.sha3_256)
        assert consistency_proof(LEAVES[:size], old_size) == proof
        verify_consistency(**claim(old_size, size))
        verify_growth(LEAVES[old_size:size], **growth(old_size, size))


def growth(old_size, size):
    claimed = claim(old_size, size)
    del claimed["size"]
    return claimed


@pytest.mark.parametrize("size", range(41))
def test_the_empty_tree_is_a_beginning_of_every_tree_without_a_proof(size):
    assert consistency_proof(LEAVES[:size], 0) == []
    verify_consistency(**claim(0, size))
    verify_growth(LEAVES[:size], **growth(0, size))
    refuse(claim(0, size, proof=[EMPTY_ROOT]))
    refuse(claim(0, size, old_root=LEAVES[0]))
    refuse(claim(0, size, old_root=b""))


@given(sizes, st.data())
def test_one_changed_byte_anywhere_is_refused(pair, data):
    old_size, size = pair
    claimed = claim(old_size, size)
    places = ["old_root", *range(len(claimed["proof"]))]
    if old_size:  # nothing ties the empty tree to the root that grows out of it
        places.append("root")
    place = data.draw(st.sampled_from(places))
    at, value = data.draw(st.integers(0, 31)), data.draw(st.integers(1, 255))

    def change(part):
        return part[:at] + bytes([part[at] ^ value]) + part[at + 1 :]

    if isinstance(place, str):
        refuse(claimed | {place: change(claimed[place])})
    else:
        proof = [*claimed["proof"]]
        proof[place] = change(proof[place])
        refuse(claimed | {"proof": proof})


@given(sizes)
def test_another_length_is_refused(pair):
    old_size, size = pair
    claimed = claim(old_size, size)
    refuse(claimed | {"proof": [*claimed["proof"], EMPTY_ROOT]})
    if claimed["proof"]:
        refuse(claimed | {"proof": claimed["proof"][:-1]})
        refuse(claimed | {"proof": claimed["proof"][1:]})
        refuse(claimed | {"proof": [claimed["proof"][0][:-1], *claimed["proof"][1:]]})


@pytest.mark.parametrize("size", range(1, 33))
def test_a_shorter_tree_with_other_leaves_is_refused(size):
    for old_size in range(1, size):
        other = tree_root([*LEAVES[: old_size - 1], flip(LEAVES[old_size - 1])])
        refuse(claim(old_size, size, old_root=other))
    refuse(claim(size, size, old_root=flip(ROOTS[size])))


@pytest.mark.parametrize(("old_size", "size"), [(-1, 3), (4, 3), (1, 0), (2**300, 2**299)])
def test_a_tree_that_shrinks_is_refused(old_size, size):
    refuse(
        {"proof": [], "old_size": old_size, "old_root": ROOTS[1], "size": size, "root": ROOTS[3]}
    )


def test_a_proof_of_a_huge_tree_is_refused_at_once():
    refuse(claim(3, 40) | {"size": 2**256 - 1})
    refuse(claim(3, 40) | {"old_size": 2**255, "size": 2**256 - 1})


def test_a_proof_of_a_tree_that_is_too_small_cannot_be_made():
    for old_size in (-1, 4):
        with pytest.raises(VerificationError):
            consistency_proof(LEAVES[:3], old_size)


@given(sizes, st.data())
def test_other_new_leaves_than_those_added_are_refused(pair, data):
    old_size, size = pair
    added = LEAVES[old_size:size]
    if not added:
        return
    place = data.draw(st.integers(0, len(added) - 1))
    others = [
        [*added[:place], flip(added[place]), *added[place + 1 :]],
        [*added, LEAVES[0]],
        added[:-1],
    ]
    if len(added) > 1:
        others.append([*added[1:], added[0]])
    for other in others:
        with pytest.raises(VerificationError) as refused:
            verify_growth(other, **growth(old_size, size))
        assert refused.value.check == 11


@given(st.integers(1, 64), st.data())
def test_every_leaf_proves_and_a_changed_byte_does_not(size, data):
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(LEAVES[:size], index)
    verify_inclusion(LEAVES[index], index=index, size=size, path=path, root=ROOTS[size])
    parts = [LEAVES[index], ROOTS[size], *path]
    place = data.draw(st.integers(0, len(parts) - 1))
    at = data.draw(st.integers(0, 31))
    part = parts[place]
    parts[place] = part[:at] + bytes([part[at] ^ 1]) + part[at + 1 :]
    leaf, root, *path = parts
    with pytest.raises(VerificationError):
        verify_inclusion(leaf, index=index, size=size, path=path, root=root)


@given(
    st.lists(st.binary(max_size=33), max_size=9),
    st.integers(-1, 70),
    st.integers(-1, 70),
    st.sampled_from([*ROOTS[:3], b""]),
    st.sampled_from([*ROOTS[:3], b""]),
)
def test_no_claim_makes_the_verifier_fail_otherwise(proof, old_size, size, old_root, root):
    claimed = {"old_size": old_size, "old_root": old_root, "size": size, "root": root}
    try:
        verify_consistency(proof, **claimed)
    except VerificationError:
        return
    assert old_size in {0, size} or root == ROOTS[size]
