"""What every file of the project obeys, whatever is in it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = [
    path.relative_to(ROOT)
    for folder in ("airflow_cwf", "operators", "hooks", "dags")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
TEXTS = sorted(
    path
    for folder in (
        *(".ci", "airflow_cwf", "benchmarks", "circuits", "contracts", "dags", "deploy"),
        *("docs", "hooks", "operators", "tests"),
    )
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and path.suffix not in {".pyc", ".xlsx"}
) + sorted(path for path in ROOT.glob("*.*") if path.suffix in {".md", ".toml", ".json", ".yaml"})

LONGEST = 300
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base_utils"}
MACHINE_PATH = re.compile(r"(?<![\w./~-])/(?:work|root|home)/\w")
SENTENCE = re.compile(r"test_[a-z0-9]+(_[a-z0-9]+){2,}")


def lines_of(path):
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def test_the_links_are_links_and_the_folders_behind_them_are_real():
    links = {
        "operators": "../operators",
        "hooks": "../hooks",
        "example_dags": "../dags",
        "data/circuits": "../../circuits",
    }
    for name, target in links.items():
        link = ROOT / "airflow_cwf" / name
        assert link.is_symlink()
        assert link.readlink() == Path(target)
        assert not (link.parent / target).is_symlink()
        assert list(link.glob("*.py"))


@pytest.mark.parametrize("path", PRODUCT, ids=str)
def test_no_file_is_longer_than_a_reader_can_hold(path):
    assert lines_of(path) <= LONGEST


def test_every_module_has_a_name_of_its_own():
    assert [path for path in PRODUCT if path.stem in NAMELESS] == []


def test_every_module_of_the_product_says_what_it_is():
    mute = [
        path
        for path in PRODUCT
        if ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) is None
    ]
    assert mute == []


def test_no_file_names_a_path_of_somebody_s_machine():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in TEXTS
        for match in MACHINE_PATH.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("see " + "/root" + "/x", True),
        ("open('" + "/home" + "/ann/keys')", True),
        ("https://example.org/home/page", False),
        ("~/home/keys", False),
    ],
)
def test_a_path_of_a_machine_is_told_from_an_address(text, is_one):
    assert bool(MACHINE_PATH.search(text)) is is_one


def test_names_of_tests_are_sentences():
    odd = []
    for path in TESTS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        odd += [
            f"{path.relative_to(ROOT)}: {node.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            and not SENTENCE.fullmatch(node.name)
        ]
    assert odd == []


def test_the_lock_of_node_names_no_registry():
    assert "resolved" not in (ROOT / "package-lock.json").read_text(encoding="utf-8")
