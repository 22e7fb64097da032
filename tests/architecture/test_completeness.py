"""Nothing is added without its counterpart: errors, ports, operators, provider info."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from airflow_cwf.core import errors, ports
from airflow_cwf.core.errors import CwfError, Retry
from airflow_cwf.provider_info import get_provider_info

ROOT = Path(__file__).parents[2]
TREE = re.compile(
    r"^(?P<branch>[│├└─ ]*)(?P<name>\w+Error)(?: +(?P<retry>[A-Z]+)\b)?", re.MULTILINE
)

CONTRACTS = {
    "ChainClient": "tests/contracts/test_chain_client.py",
    "Signer": "tests/contracts/test_signer.py",
}
ONE_IMPLEMENTATION = {
    "TransactionCodec": "tests/unit/adapters/evm/test_codec.py",
    "SanctionsSource": "tests/unit/adapters/screening/test_ofac.py",
    "Artifacts": "tests/unit/adapters/storage/test_artifacts.py",
    "ContentStore": "tests/unit/adapters/storage/test_kubo.py",
    "Prover": "tests/unit/adapters/provers/test_snarkjs.py",
    "Clock": "tests/unit/adapters/clocks/test_system_clock.py",
}
"""Roles that only one adapter fills (sources of one list count as one). A second adapter gets a
contract file under tests/contracts that runs against both."""

CAUGHT_BY_THEIR_CALLER = {
    "AddressError": "core/addresses.py: becomes the reason of a row",
    "AmountError": "core/money.py: becomes the reason of a row",
    "UnclearOutcomeError": "core/batch_outcomes.py: becomes the state `unclear`",
    "UnknownError": "actions/verify_report.py: becomes the state `unknown` of a check",
    "MalformedReplyError": "adapters/evm/replies.py: becomes a TransportError",
    "_BusyError": "adapters/screening/ofac.py: says that another try may help",
}
"""Exceptions outside the tree: none of them leaves the module or action that catches it."""


def drawn_tree():
    """Return {name: (parent, retry)} as the docstring of core/errors.py draws it."""
    above, drawn = [], {}
    for match in TREE.finditer(errors.__doc__.split("\n\n")[1]):
        depth = len(match["branch"]) // 3
        above[depth:] = [match["name"]]
        drawn[match["name"]] = (above[depth - 1] if depth else None, match["retry"])
    return drawn


def error_classes():
    return {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, Exception)
    }


def exceptions_elsewhere():
    """Yield (name, names of bases) of every exception class outside core/errors.py."""
    for folder in ("airflow_cwf", "operators", "hooks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path == ROOT / "airflow_cwf" / "core" / "errors.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    bases = {ast.unparse(base) for base in node.bases}
                    if any(base.endswith(("Error", "Exception")) for base in bases):
                        yield node.name, bases


def test_the_drawn_tree_of_errors_is_the_real_one():
    real = {
        name: None if kind is CwfError else kind.__bases__[0].__name__
        for name, kind in error_classes().items()
    }
    assert {name: parent for name, (parent, _) in drawn_tree().items()} == real


@pytest.mark.parametrize("name", error_classes())
def test_every_error_says_what_its_catcher_may_do(name):
    kind = error_classes()[name]
    assert isinstance(kind.retry, Retry)
    drawn = drawn_tree()[name][1]
    assert drawn in {None, "retry", kind.retry.name}
    assert kind.__doc__


def test_an_error_elsewhere_derives_from_the_tree_or_is_caught_where_it_is_raised():
    outside = {name for name, bases in exceptions_elsewhere() if not bases & error_classes().keys()}
    assert outside == CAUGHT_BY_THEIR_CALLER.keys()


def test_a_public_error_that_stands_beside_its_subject_is_told_in_the_tree_s_page():
    beside = {
        name
        for name, bases in exceptions_elsewhere()
        if bases & error_classes().keys() and not name.startswith("_")
    }
    assert {name for name in beside if f"`{name}`" not in errors.__doc__} == set()


def roles():
    return [
        name
        for name, kind in vars(ports).items()
        if inspect.isclass(kind) and kind.__module__ == ports.__name__
    ]


@pytest.mark.parametrize("role", roles())
def test_every_role_has_a_contract_or_one_implementation_with_tests(role):
    assert (role in CONTRACTS) != (role in ONE_IMPLEMENTATION)
    assert (ROOT / (CONTRACTS | ONE_IMPLEMENTATION)[role]).is_file()


def test_no_contract_is_kept_for_a_role_that_is_gone():
    assert CONTRACTS.keys() | ONE_IMPLEMENTATION.keys() == set(roles())


def classes_of(folder, suffix):
    """Return {module stem: names} of the public classes that end in `suffix`."""
    found = {}
    for path in sorted((ROOT / folder).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [
            node.name
            for node in tree.body
            if isinstance(node, ast.ClassDef) and node.name.endswith(suffix)
        ]
        if names and path.stem != "base":
            found[path.stem] = names
    return found


OPERATORS = [name for names in classes_of("operators", "Operator").values() for name in names]


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_has_an_example_that_uses_it(name):
    examples = [path.read_text(encoding="utf-8") for path in ROOT.glob("dags/*.py")]
    called = re.compile(rf"\b{name}(?:\.for_agents|\()")
    assert any(called.search(text) for text in examples)


@pytest.mark.parametrize(("kind", "suffix"), [("operators", "Operator"), ("hooks", "Hook")])
def test_airflow_is_told_of_every_operator_and_hook(kind, suffix):
    (integration,) = get_provider_info()[kind]
    expected = {f"airflow_cwf.{kind}.{module}" for module in classes_of(kind, suffix)}
    assert set(integration["python-modules"]) == expected


def test_airflow_is_told_of_every_connection_type_of_a_hook():
    told = {
        entry["connection-type"]: entry["hook-class-name"]
        for entry in get_provider_info()["connection-types"]
    }
    own = re.compile(r'^class (\w+).*?^    conn_type = "(\w+)"', re.MULTILINE | re.DOTALL)
    real = {}
    for path in ROOT.glob("hooks/*.py"):
        for name, kind in own.findall(path.read_text(encoding="utf-8")):
            real[kind] = f"airflow_cwf.hooks.{path.stem}.{name}"
    assert told == real
