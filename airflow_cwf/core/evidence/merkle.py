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
    if siblings or node != root or not _are_hashes((leaf, *path)):
        raise _not_included(check)


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return the proof that the tree of the first `old_size` leaves was only added to.

    Empty if nothing was added, or if there was nothing (RFC 6962, section 2.1.2).

    Raises:
        VerificationError: check 11; the tree has fewer leaves than that.
    """
    if not 0 <= old_size <= len(leaf_hashes):
        raise _not_grown(11)
    if old_size in {0, len(leaf_hashes)}:
        return []
    return _subproof(leaf_hashes, old_size, is_old_root=True)


def verify_consistency(
    proof: Sequence[bytes],
    *,
    old_size: int,
    old_root: bytes,
    size: int,
    root: bytes,
    check: int = 11,
) -> None:
    """Verify that the tree (size, root) begins with the leaves of (old_size, old_root).

    Args:
        proof: what `consistency_proof` gave, 32 bytes each.
        old_size: number of leaves before; with 0, `old_root` must be `EMPTY_ROOT`.
        old_root: root before.
        size: number of leaves now.
        root: root now.
        check: number that a refusal carries.

    Raises:
        VerificationError: nothing shows that the tree only grew.
    """
    _old_subtrees(proof, old_size=old_size, old_root=old_root, size=size, root=root, check=check)


def verify_growth(
    leaf_hashes: Sequence[bytes],
    *,
    proof: Sequence[bytes],
    old_size: int,
    old_root: bytes,
    root: bytes,
    check: int = 11,
) -> None:
    """Verify that appending exactly `leaf_hashes` to the old tree gives `root`.

    A consistency proof holds the roots of the old tree's full subtrees. Carrying the new leaves
    on from there says what `verify_consistency` cannot: which leaves were added.

    Raises:
        VerificationError: the proof is wrong, or other leaves were added.
    """
    size = old_size + len(leaf_hashes)
    subtrees = _old_subtrees(
        proof, old_size=old_size, old_root=old_root, size=size, root=root, check=check
    )
    for position, leaf in enumerate(leaf_hashes, start=old_size):
        node, place = leaf, position
        while place % 2:
            node, place = node_hash(subtrees.pop(), node), place // 2
        subtrees.append(node)
    if leaf_hashes and _folded(subtrees) != root:
        raise VerificationError("Other leaves were added to the tree than these.", check=check)


def _subproof(leaves: Sequence[bytes], old_size: int, *, is_old_root: bool) -> list[bytes]:
    """Return `SUBPROOF(m, D[n], b)` of RFC 6962; `is_old_root` is its b."""
    if old_size == len(leaves):
        return [] if is_old_root else [tree_root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:split], leaves[split:]
    if old_size <= split:
        return [*_subproof(left, old_size, is_old_root=is_old_root), tree_root(right)]
    return [*_subproof(right, old_size - split, is_old_root=False), tree_root(left)]


def _old_subtrees(
    proof: Sequence[bytes], *, old_size: int, old_root: bytes, size: int, root: bytes, check: int
) -> list[bytes]:
    """Verify the proof; return the roots of the old tree's full subtrees, the largest first.

    Siblings on the left belong to both trees, those on the right to the new one alone. So the
    start and the left ones are the old tree; they are not needed where nothing was added.
    """
    begins_well = old_root == EMPTY_ROOT if old_size == 0 else len(old_root) == len(EMPTY_ROOT)
    if not 0 <= old_size <= size or not begins_well or not _are_hashes((root, *proof)):
        raise _not_grown(check)
    if old_size in {0, size}:
        if proof or (old_size == size and old_root != root):
            raise _not_grown(check)
        return []
    is_full = old_size & (old_size - 1) == 0
    nodes = [old_root, *proof] if is_full else list(proof)
    sides = _sides_are_left(old_size, size)
    if len(nodes) != len(sides) + 1:
        raise _not_grown(check)
    subtrees, new_node = nodes[:1], nodes[0]
    for sibling, is_left in zip(nodes[1:], sides, strict=True):
        if is_left:
            subtrees.append(sibling)
        new_node = node_hash(sibling, new_node) if is_left else node_hash(new_node, sibling)
    if _folded(subtrees[::-1]) != old_root or new_node != root:
        raise _not_grown(check)
    return subtrees[::-1]


def _sides_are_left(old_size: int, size: int) -> list[bool]:
    """Return, for each sibling on the way up, whether it stands on the left.

    The way is RFC 9162's, section 2.1.4.2: from the last full subtree of the old tree to the root
    of the new one. Its length depends on the sizes alone.
    """
    place, last = old_size - 1, size - 1
    while place % 2:
        place, last = place // 2, last // 2
    sides: list[bool] = []
    while last:
        is_left = place % 2 == 1 or place == last
        sides.append(is_left)
        while is_left and place and place % 2 == 0:
            place, last = place // 2, last // 2
        place, last = place // 2, last // 2
    return sides


def _folded(subtrees: Sequence[bytes]) -> bytes:
    """Return the root over full subtrees, the largest first."""
    *larger, node = subtrees
    for subtree in reversed(larger):
        node = node_hash(subtree, node)
    return node


def _parents(level: list[bytes]) -> list[bytes]:
    pairs = zip(level[::2], level[1::2], strict=False)
    return [node_hash(left, right) for left, right in pairs] + level[len(level) & ~1 :]


def _require_position(*, index: int, size: int, check: int) -> None:
    if not 0 <= index < size:
        raise VerificationError("The leaf's index lies outside its tree.", check=check)


def _not_included(check: int) -> VerificationError:
    return VerificationError("The path does not lead from the leaf to the root.", check=check)


def _not_grown(check: int) -> VerificationError:
    return VerificationError("The old tree is not shown to be a beginning of the new.", check=check)


def _are_hashes(parts: Sequence[bytes]) -> bool:
    return all(len(part) == len(EMPTY_ROOT) for part in parts)
