// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title BatchPayment: pays each item of a payroll at most once.
/// @notice The lock is one bit per (payer, scope, index). A set bit means: this index was paid,
/// or was closed and will never be paid. Only `msg.sender`'s own bits and `msg.sender`'s own
/// allowance are ever touched; there is no owner, no upgrade, no rescue, and the contract never
/// holds a token or a coin. Native coins are not supported: no function is payable.
///
/// @dev Why re-entrance is harmless. A token (or a hook it calls) may call back while its
/// `transferFrom` runs.
/// 1. The bit of the running item stands in storage before the call, so a nested `pay` for it is
///    `Skipped` and a nested `close` of it does nothing.
/// 2. No bitmap word is kept in memory or on the stack across a call: each item reads its word
///    anew, and a failure clears exactly its own bit. So a nested call's bits are never undone,
///    unless the EVM undoes the nested call whole, with everything it moved.
/// 3. A nested caller that is not the payer has other bits and another allowance.
/// 4. A nested `pay` cannot pay at all: it needs more than `ITEM_GAS` for its first item and
///    never has more than `ITEM_GAS` to run in.
/// The counts are stack variables of one activation; `Batch` tells them for that one alone.
contract BatchPayment {
    /// @notice Version of this interface; the address (CREATE2) pins the code itself.
    uint256 public constant VERSION = 1;

    /// @notice Gas that each `transferFrom` gets, whatever the transaction's gas limit is.
    /// An item's failure therefore never depends on the gas limit.
    uint256 public constant ITEM_GAS = 120_000;

    /// @dev uint32 index | address payee | uint96 amount
    uint256 private constant ITEM_BYTES = 36;
    uint256 private constant INDEX_BYTES = 4;

    /// @dev What is spent between the check of the gas and the call: a cold account (2,600), a
    /// cold delegation target (2,600, EIP-7702), memory and arithmetic.
    uint256 private constant CALL_OVERHEAD = 6_000;

    /// @notice `paid[payer][scope][index >> 8]`, bit `index & 255`.
    mapping(address payer => mapping(bytes32 scope => mapping(uint256 word => uint256 bits)))
        public paid;

    /// @notice Digest of the list of keys behind a scope's indexes; bound by the first call.
    mapping(address payer => mapping(bytes32 scope => bytes32 digest)) public scopeDigest;

    /// @notice Told once, after the last item of a `pay`: counts of all its items.
    /// The token's own `Transfer` is the record of a paid item.
    event Batch(
        address indexed payer,
        bytes32 indexed scope,
        address token,
        uint256 paid,
        uint256 failed,
        uint256 skipped
    );
    /// @notice The token refused. `reason` is the first four bytes of what it reverted with, or
    /// zero (it returned false, something else than true, or nothing without having code).
    event Failed(address indexed payer, bytes32 indexed scope, uint256 index, bytes4 reason);
    /// @notice The bit was set before: nothing was paid now.
    event Skipped(address indexed payer, bytes32 indexed scope, uint256 index);
    /// @notice The bit was set by `close`: the index will never be paid.
    event Closed(address indexed payer, bytes32 indexed scope, uint256 index);

    /// @notice 63/64 of the remaining gas cannot give `ITEM_GAS` to the item at this place.
    error BatchOutOfGas(uint256 item);
    /// @notice The scope belongs to another list of keys.
    error OtherScopeDigest(bytes32 bound);
    /// @notice An item of an atomic batch failed.
    error ItemFailed(uint256 index, bytes4 reason);
    /// @notice No items, a broken length, or a zero digest.
    error MalformedItems();

    /// @notice Pay `items` out of the caller's allowance, each index of `scope` at most once.
    /// @param token The one token of this call.
    /// @param scope The payroll on this chain, from this payer, through this contract.
    /// @param digest Digest of the scope's list of keys; not zero.
    /// @param atomic Whether the first failing item reverts the whole call. Skipped is not failing.
    /// @param items Packed, 36 bytes each: uint32 index, address payee, uint96 amount.
    /// @return paidCount Items for which the token reported success.
    /// @return failed Items that the token refused; their bits are clear again.
    /// @return skipped Items whose bit was set before.
    function pay(address token, bytes32 scope, bytes32 digest, bool atomic, bytes calldata items)
        external
        returns (uint256 paidCount, uint256 failed, uint256 skipped)
    {
        if (items.length == 0 || items.length % ITEM_BYTES != 0) revert MalformedItems();
        _bind(scope, digest);
        mapping(uint256 => uint256) storage words = paid[msg.sender][scope];
        for (uint256 at = 0; at < items.length; at += ITEM_BYTES) {
            (uint256 index, address payee, uint256 amount) = _item(items, at);
            uint256 bit = 1 << (index & 255);
            uint256 word = words[index >> 8];
            if (word & bit != 0) {
                ++skipped;
                emit Skipped(msg.sender, scope, index);
                continue;
            }
            words[index >> 8] = word | bit;
            if (gasleft() - gasleft() / 64 < ITEM_GAS + CALL_OVERHEAD) {
                revert BatchOutOfGas(at / ITEM_BYTES);
            }
            (bool ok, bytes4 reason) = _transferFrom(token, payee, amount);
            if (ok) {
                ++paidCount;
                continue;
            }
            if (atomic) revert ItemFailed(index, reason);
            words[index >> 8] &= ~bit; // read anew: a nested call may have set other bits
            ++failed;
            emit Failed(msg.sender, scope, index, reason);
        }
        emit Batch(msg.sender, scope, token, paidCount, failed, skipped);
    }

    /// @notice Set unset bits without paying, for good. A bit that is set already is `Skipped`.
    /// @param indexes Packed uint32, four bytes each.
    function close(bytes32 scope, bytes32 digest, bytes calldata indexes) external {
        if (indexes.length == 0 || indexes.length % INDEX_BYTES != 0) revert MalformedItems();
        _bind(scope, digest);
        mapping(uint256 => uint256) storage words = paid[msg.sender][scope];
        for (uint256 at = 0; at < indexes.length; at += INDEX_BYTES) {
            uint256 index = uint32(bytes4(indexes[at:at + INDEX_BYTES]));
            uint256 bit = 1 << (index & 255);
            uint256 word = words[index >> 8];
            if (word & bit != 0) {
                emit Skipped(msg.sender, scope, index);
            } else {
                words[index >> 8] = word | bit;
                emit Closed(msg.sender, scope, index);
            }
        }
    }

    /// @notice Read `count` words of the bitmap from word `first` on (a word holds 256 indexes).
    function paidWords(address payer, bytes32 scope, uint256 first, uint256 count)
        external
        view
        returns (uint256[] memory words)
    {
        words = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) words[i] = paid[payer][scope][first + i];
    }

    function _bind(bytes32 scope, bytes32 digest) private {
        if (digest == 0) revert MalformedItems();
        bytes32 bound = scopeDigest[msg.sender][scope];
        if (bound == 0) scopeDigest[msg.sender][scope] = digest;
        else if (bound != digest) revert OtherScopeDigest(bound);
    }

    /// @dev The caller keeps `at + 36 <= items.length`; the ABI decoder has checked that
    /// `items` lies within the calldata.
    function _item(bytes calldata items, uint256 at)
        private
        pure
        returns (uint256 index, address payee, uint256 amount)
    {
        assembly ("memory-safe") {
            let head := calldataload(add(items.offset, at))
            index := shr(224, head)
            payee := shr(96, shl(32, head))
            amount := shr(160, calldataload(add(items.offset, add(at, 24))))
        }
    }

    /// @dev `token.transferFrom(msg.sender, payee, amount)` with exactly `ITEM_GAS`. At most 32
    /// bytes of the answer are copied, so that a huge one costs the batch nothing. Success is
    /// what tokens in use mean by it: no data from an account that has code, or the word 1.
    function _transferFrom(address token, address payee, uint256 amount)
        private
        returns (bool ok, bytes4 reason)
    {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, shl(224, 0x23b872dd)) // transferFrom(address,address,uint256)
            mstore(add(input, 4), caller())
            mstore(add(input, 36), payee)
            mstore(add(input, 68), amount)
            mstore(0, 0)
            ok := call(ITEM_GAS, token, 0, input, 100, 0, 32)
            switch ok
            case 0 { reason := shl(224, shr(224, mload(0))) }
            default {
                switch returndatasize()
                case 0 { ok := iszero(iszero(extcodesize(token))) }
                default { ok := and(gt(returndatasize(), 31), eq(mload(0), 1)) }
            }
        }
    }
}
