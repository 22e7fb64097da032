"""Forms: which members an object of the evidence has, and what each may hold.

A form is a table from member name to predicate. Objects have exactly these members; only outputs
carry further ones.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

from airflow_cwf.core.errors import VerificationError

Predicate: TypeAlias = Callable[[object], bool]
Form: TypeAlias = Mapping[str, Predicate]

_DIGEST: Final = re.compile(r"0x[0-9a-f]{64}")
_SALT: Final = re.compile(r"0x[0-9a-f]{32}")
_SIGNATURE: Final = re.compile(r"0x[0-9a-f]{130}")
_EVM_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,77}")
_CAIP2: Final = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}")
_EIP155: Final = re.compile(r"eip155:[1-9][0-9]{0,15}")
_FIGURE_LIMIT: Final = 2**52


def check_form(value: object, form: Form, *, where: str, further: bool = False) -> None:
    """Check that `value` is an object with exactly the members of `form`.

    Args:
        value: what was read.
        form: member name to predicate.
        where: what to call the object in the message; never a text of the document's own.
        further: other members are allowed beside those of the form.

    Raises:
        VerificationError: check 1; names the first member at fault, never what it holds.
    """
    if not isinstance(value, Mapping):
        raise VerificationError(f"{where} is not an object.", check=1)
    for name, holds in form.items():
        if name not in value:
            raise VerificationError(f"{where} has no member `{name}`.", check=1)
        if not holds(value[name]):
            raise VerificationError(f"{where}: `{name}` is not in its form.", check=1)
    if not further and len(value) != len(form):
        raise VerificationError(f"{where} has a member that its format does not know.", check=1)


def exactly(constant: object) -> Predicate:
    """Return a predicate for one constant."""
    return lambda value: type(value) is type(constant) and value == constant


def one_of(*constants: str) -> Predicate:
    """Return a predicate for a few texts."""
    return lambda value: isinstance(value, str) and value in constants


def nullable(holds: Predicate) -> Predicate:
    """Return a predicate that also takes null."""
    return lambda value: value is None or holds(value)


def list_of(holds: Predicate) -> Predicate:
    """Return a predicate for a list of such things, perhaps empty."""
    return lambda value: isinstance(value, list | tuple) and all(holds(item) for item in value)


def object_of(form: Form) -> Predicate:
    """Return a predicate for an object of exactly this form."""
    return lambda value: (
        isinstance(value, Mapping)
        and value.keys() == form.keys()
        and all(holds(value[name]) for name, holds in form.items())
    )


def is_text(value: object) -> bool:
    """Tell whether it is a text."""
    return isinstance(value, str)


def is_name(value: object) -> bool:
    """Tell whether it is a text with something in it."""
    return isinstance(value, str) and value != ""


def is_count(value: object) -> bool:
    """Tell whether it is an integer of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_figure(value: object) -> bool:
    """Tell whether it is a fee or a time: an integer below 2^52, exact as a float."""
    return is_count(value) and cast("int", value) < _FIGURE_LIMIT


def is_digest(value: object) -> bool:
    """Tell whether it is 32 bytes in hex."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def is_salt(value: object) -> bool:
    """Tell whether it is 16 bytes in hex."""
    return isinstance(value, str) and _SALT.fullmatch(value) is not None


def is_signature(value: object) -> bool:
    """Tell whether it is 65 bytes in hex."""
    return isinstance(value, str) and _SIGNATURE.fullmatch(value) is not None


def is_evm_address(value: object) -> bool:
    """Tell whether it is a lower-case EVM address."""
    return isinstance(value, str) and _EVM_ADDRESS.fullmatch(value) is not None


def is_decimal(value: object) -> bool:
    """Tell whether it is a decimal text below 2^256 without leading zeros."""
    return isinstance(value, str) and bool(_DECIMAL.fullmatch(value)) and int(value) < 2**256


def is_caip2(value: object) -> bool:
    """Tell whether it is a CAIP-2 chain id; eip155 references are plain numbers."""
    if not isinstance(value, str) or not _CAIP2.fullmatch(value):
        return False
    return not value.startswith("eip155:") or _EIP155.fullmatch(value) is not None
