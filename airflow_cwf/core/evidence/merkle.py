"""Merkle trees in the shape of RFC 6962 with SHA3-256.

Functions take leaf hashes (32 bytes each, already prefixed with 0x00), never leaf objects. A tree
of n leaves splits at the largest power of two below n; pairing neighbours level by level and
lifting an odd last node unchanged gives the same tree.
"""

from collections.abc import Sequence
from typing import Final

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.hashes import sha3_256

NODE_PREFIX: Final = b"\x01"
EMPTY_ROOT: Final = sha3_256(b"")


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return `H(0x01 || left || right)`."""
    return sha3_256(NODE_PREFIX + left + right)


def tree_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the 32-byte root; `H("")` for no leaves (RFC 6962, section 2.1)."""
    level = list(leaf_hashes)
    while len(level) > 1:
        level = _parents(level)
    return level[0] if level else EMPTY_ROOT


def inclusion_path(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Return the siblings from leaf to root (RFC 6962, section 2.1.1).

    Raises:
        VerificationError: check 10; the tree has no leaf `index`.
    """
    _require_position(index=index, size=len(leaf_hashes), check=10)
    path: list[bytes] = []
    level = list(leaf_hashes)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level, index = _parents(level), index // 2
    return path


def verify_inclusion(
    leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes, check: int = 10
) -> None:
    """Verify that `leaf` is number `index` of the `size` leaves under `root`.

    Bounds are checked here: a path of another length, or an index outside the tree, is refused.

    Args:
        leaf: leaf hash.
        index: from 0.
        size: number of leaves. An RFC 6962 root does not commit to it: take it from elsewhere.
        path: siblings from leaf to root, 32 bytes each.
        root: what the path must lead to.
        check: number that a refusal carries.

    Raises:
        VerificationError: the leaf is not shown to be in the tree.
    """
    _require_position(index=index, size=size, check=check)
    siblings = list(path)
    node, width = leaf, size
    while width > 1:
        if index ^ 1 < width:
            if not siblings:
                raise _not_included(check)
            sibling = siblings.pop(0)
            node = node_hash(sibling, node) if index % 2 else node_hash(node, sibling)
        index, width = index // 2, (width + 1) // 2
    if siblings or node != root or any(len(part) != len(EMPTY_ROOT) for part in (leaf, *path)):
        raise _not_included(check)


def _parents(level: list[bytes]) -> list[bytes]:
    pairs = zip(level[::2], level[1::2], strict=False)
    return [node_hash(left, right) for left, right in pairs] + level[len(level) & ~1 :]


def _require_position(*, index: int, size: int, check: int) -> None:
    if not 0 <= index < size:
        raise VerificationError("The leaf's index lies outside its tree.", check=check)


def _not_included(check: int) -> VerificationError:
    return VerificationError("The path does not lead from the leaf to the root.", check=check)
