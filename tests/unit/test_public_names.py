"""The public names: each resolves, is sorted in, and costs nothing until it is used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_cwf

ROOT = Path(__file__).parents[2]


def modules_with_names():
    """Return {module: its literal `__all__`} of everything below the hooks."""
    found = {}
    for path in sorted((ROOT / "airflow_cwf").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found[name.removesuffix(".__init__")] = ast.literal_eval(node.value)
    return found


NAMES = modules_with_names()


def in_order(name):
    """Constants, then classes, then the rest, as ruff sorts them."""
    return not name.isupper(), not name[0].isupper(), name


@pytest.mark.parametrize("module", NAMES)
def test_every_public_name_of_a_module_resolves_and_they_are_sorted(module):
    names = NAMES[module]
    assert names == sorted(set(names), key=in_order)
    loaded = importlib.import_module(module)
    assert [name for name in names if not hasattr(loaded, name)] == []


def test_the_package_s_names_are_those_that_a_type_checker_sees():
    tree = ast.parse(Path(airflow_cwf.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == airflow_cwf._HOMES
    assert sorted(seen) == airflow_cwf.__all__


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'airflow_cwf' has no attribute 'PaymentBot'"):
        _ = airflow_cwf.PaymentBot


def test_importing_the_package_imports_nothing_else():
    code = "import sys, airflow_cwf; print(*[n for n in sys.modules if n.startswith('airflow')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["airflow_cwf"]
