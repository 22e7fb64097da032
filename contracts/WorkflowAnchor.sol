// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title WorkflowAnchor: the head of each submitter's append-only log.
/// @notice A head is size and root of an RFC 6962 tree (SHA3-256). It is compared and swapped:
/// whoever appends names the head that it grows from, so of two appends at once one reverts, and
/// a repeated one reverts too. Only `msg.sender`'s own head is ever written; there is no owner,
/// no upgrade, and no function is payable.
///
/// @dev The contract hashes nothing and does not know whether the new tree holds the old one.
/// Everybody can check that from the events and the batches they name; a submitter who rewrites
/// the log is found out by it. What the contract adds is the order, the time and the one head.
contract WorkflowAnchor {
    struct Head {
        uint256 size;
        bytes32 root;
    }

    /// @notice Version of this interface; the address (CREATE2) pins the code itself.
    uint256 public constant VERSION = 1;

    /// @notice SHA3-256 (FIPS 202) of nothing: the root of the empty log, `head` of a submitter
    /// who has never appended.
    bytes32 public constant EMPTY_ROOT =
        0xa7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a;

    mapping(address submitter => Head) private _heads;

    /// @notice A submitter's log grew from (oldSize, oldRoot) to (size, root).
    /// @param batch sha2-256 of the batch's directory, the digest of its CID.
    event Appended(
        address indexed submitter,
        uint256 oldSize,
        bytes32 oldRoot,
        uint256 size,
        bytes32 root,
        bytes32 batch
    );

    /// @notice The head is another one: somebody's append, perhaps this very one, came first.
    error OtherHead(uint256 size, bytes32 root);
    /// @notice An append must add something.
    error NotLarger();

    /// @notice Replace the caller's head, if it is the one named and the log grows.
    function append(uint256 oldSize, bytes32 oldRoot, uint256 size, bytes32 root, bytes32 batch)
        external
    {
        (uint256 headSize, bytes32 headRoot) = head(msg.sender);
        if (headSize != oldSize || headRoot != oldRoot) revert OtherHead(headSize, headRoot);
        if (size <= oldSize) revert NotLarger();
        _heads[msg.sender] = Head(size, root);
        emit Appended(msg.sender, oldSize, oldRoot, size, root, batch);
    }

    /// @notice Size and root of a submitter's log; (0, EMPTY_ROOT) before its first append.
    function head(address submitter) public view returns (uint256 size, bytes32 root) {
        Head storage found = _heads[submitter];
        size = found.size;
        // An append makes the size at least 1, so 0 means that there was none.
        root = size == 0 ? EMPTY_ROOT : found.root;
    }
}
