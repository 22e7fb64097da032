"""Merkle trees: an oracle written from RFC 6962, checked on published vectors, judges the code."""

import hashlib
import json
from pathlib import Path

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.merkle import (
    EMPTY_ROOT,
    inclusion_path,
    node_hash,
    tree_root,
    verify_inclusion,
)

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors/rfc6962/certificate_transparency.json").read_bytes()
)


def mth(leaves, hasher):
    """RFC 6962, section 2.1, as printed, over leaf hashes."""
    if not leaves:
        return hasher(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hasher(b"\x01" + mth(leaves[:k], hasher) + mth(leaves[k:], hasher)).digest()


def audit_path(m, leaves, hasher):
    """RFC 6962, section 2.1.1, as printed."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*audit_path(m, leaves[:k], hasher), mth(leaves[k:], hasher)]
    return [*audit_path(m - k, leaves[k:], hasher), mth(leaves[:k], hasher)]


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def leaves_of(n, hasher=hashlib.sha3_256):
    return [hasher(b"\x00" + bytes([i % 256, i // 256])).digest() for i in range(n)]


def test_the_oracle_gives_the_published_roots_and_paths():
    leaves = [hashlib.sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in VECTORS["leaves"]]
    for size, root in enumerate(VECTORS["roots"], start=1):
        assert mth(leaves[:size], hashlib.sha256).hex() == root
    for case in VECTORS["paths"]:
        path = audit_path(case["index"], leaves[: case["size"]], hashlib.sha256)
        assert [part.hex() for part in path] == case["path"]


@pytest.mark.parametrize("size", [*range(1, 34), 63, 64, 65, 100])
def test_roots_and_paths_have_the_shape_of_rfc_6962(size):
    leaves = leaves_of(size)
    root = mth(leaves, hashlib.sha3_256)
    assert tree_root(leaves) == root
    for index in range(size):
        path = inclusion_path(leaves, index)
        assert path == audit_path(index, leaves, hashlib.sha3_256)
        verify_inclusion(leaves[index], index=index, size=size, path=path, root=root)


def test_the_empty_tree_is_the_hash_of_nothing():
    assert tree_root([]) == EMPTY_ROOT == hashlib.sha3_256(b"").digest()


def test_a_node_is_no_leaf():
    left, right = leaves_of(2)
    assert node_hash(left, right) != hashlib.sha3_256(b"\x00" + left + right).digest()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_a_leaf_verifies_at_its_own_place_only(size):
    leaves = leaves_of(size)
    root = tree_root(leaves)
    for index, leaf in enumerate(leaves):
        path = inclusion_path(leaves, index)
        for other in [place for place in range(-1, size + 3) if place != index]:
            refuse(leaf, index=other, size=size, path=path, root=root)


@pytest.mark.parametrize("size", [2, 3, 7, 8, 13])
def test_a_changed_path_is_refused(size):
    leaves = leaves_of(size)
    root = tree_root(leaves)
    for index, leaf in enumerate(leaves):
        path = inclusion_path(leaves, index)
        refuse(leaf, index=index, size=size, path=path[:-1], root=root)
        refuse(leaf, index=index, size=size, path=[*path, root], root=root)
        refuse(leaf, index=index, size=size, path=[b"", *path[1:]], root=root)
        refuse(leaf[:-1], index=index, size=size, path=path, root=root)
        refuse(leaf, index=index, size=size, path=path, root=leaves[index - 1])
        for place in range(len(path)):
            changed = [*path]
            changed[place] = bytes([changed[place][0] ^ 1]) + changed[place][1:]
            refuse(leaf, index=index, size=size, path=changed, root=root)


def test_a_path_through_an_empty_tree_is_refused():
    refuse(EMPTY_ROOT, index=0, size=0, path=[], root=EMPTY_ROOT)
    with pytest.raises(VerificationError):
        inclusion_path([], 0)


def refuse(leaf, **claim):
    with pytest.raises(VerificationError) as refused:
        verify_inclusion(leaf, **claim, check=11)
    assert refused.value.check == 11
