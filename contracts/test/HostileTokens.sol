// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

// Tokens that misbehave, and payers that are contracts. For tests only; never deployed elsewhere.

/// @dev A ledger with free minting. The account 0xBAD is the one the tokens below dislike.
abstract contract Ledger {
    address internal constant BAD = address(0xBAD);

    mapping(address => uint256) public balanceOf;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
    }

    function _move(address from, address to, uint256 value) internal {
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

/// @dev Like USDT: success without data.
contract NoReturn is Ledger {
    function transferFrom(address from, address to, uint256 value) external {
        _move(from, to, value);
    }
}

/// @dev Refuses by an answer, after it has moved the money all the same if `moves`.
contract FalseReturn is Ledger {
    bool public moves;

    function setMoves(bool value) external {
        moves = value;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        if (to != BAD || moves) _move(from, to, value);
        return to != BAD;
    }
}

/// @dev Answers something that is neither nothing nor the word 1.
contract OddReturn is Ledger {
    function transferFrom(address, address to, uint256) external pure {
        if (to == BAD) assembly { mstore(0, shl(248, 1)) return(0, 1) } // one byte: 1
        assembly { mstore(0, 2) return(0, 32) } // the word 2
    }
}

/// @dev Says yes, moves nothing, writes nothing.
contract Liar is Ledger {
    function transferFrom(address, address, uint256) external pure returns (bool) {
        return true;
    }
}

/// @dev As much revert data as the item's gas can pay for.
contract Bomb is Ledger {
    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        if (to == BAD) assembly { revert(0, 200000) }
        _move(from, to, value);
        return true;
    }
}

/// @dev Burns all gas it gets.
contract Burner is Ledger {
    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        if (to == BAD) assembly { invalid() }
        _move(from, to, value);
        return true;
    }
}

/// @dev Needs about `weight` gas for each transfer.
contract Heavy is Ledger {
    uint256 private immutable WEIGHT;

    constructor(uint256 weight) {
        WEIGHT = weight;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 start = gasleft();
        while (start - gasleft() < WEIGHT) {}
        _move(from, to, value);
        return true;
    }
}

/// @dev Looks at its gas and refuses politely, where another token would run out of it.
contract Fussy is Ledger {
    uint256 private immutable LEAST;

    constructor(uint256 least) {
        LEAST = least;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        if (gasleft() < LEAST) return false;
        _move(from, to, value);
        return true;
    }
}

/// @dev Keeps one percent: the payee gets less than the batch says.
contract Fee is Ledger {
    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        _move(from, to, value * 99 / 100);
        return true;
    }
}

interface IHook {
    function hook() external;
}

/// @dev Calls back into the payer before it moves money to `trigger`, then refuses if `refuses`.
contract Hooked is Ledger {
    address public trigger;
    bool public refuses;

    function arm(address trigger_, bool refuses_) external {
        (trigger, refuses) = (trigger_, refuses_);
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        if (to == trigger) {
            IHook(from).hook();
            if (refuses) return false;
        }
        _move(from, to, value);
        return true;
    }
}

/// @dev A payer that is a contract: runs any call, and one prepared call when it is called back.
contract HookedPayer is IHook {
    address private target;
    bytes private data;
    bool public ran;
    bool public succeeded;
    bytes4 public reason;

    function prepare(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function run(address to, bytes calldata input) external {
        (bool ok, bytes memory answer) = to.call(input);
        if (!ok) assembly { revert(add(answer, 32), mload(answer)) }
    }

    function hook() external {
        (bool ok, bytes memory answer) = target.call(data);
        (ran, succeeded, reason) = (true, ok, bytes4(answer));
    }
}

/// @dev The token itself calls the lock while it is being paid out: it is then its own payer.
contract Meddler is Ledger {
    address private target;
    bytes private data;
    bool public succeeded;

    function prepare(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        if (target != address(0)) (succeeded,) = target.call(data);
        _move(from, to, value);
        return true;
    }
}
