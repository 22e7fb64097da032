"""README, CONTRIBUTING, pages and tools say the same, and what they name exists."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer.main

from airflow_cwf.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
ADR_HEADINGS = [
    "Context",
    "Decision",
    "Consequences",
    "A change violates this decision when it",
    "Evidence",
]


def without_code(text):
    return re.sub(r"^(?:```.*?^```|    .*?)$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """Return the anchors that a web page makes of a file's headings."""
    headings = HEADING.findall(without_code(page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page):
    here = ROOT / page
    broken = []
    for target in LINK.findall(here.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        place, _, anchor = target.partition("#")
        there = (here.parent / place).resolve() if place else here
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def test_decisions_are_numbered_without_a_gap_and_stand_in_the_index():
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    assert LINK.findall(index) == [path.name for path in ADRS]


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.stem)
def test_a_decision_has_its_parts_in_order(path):
    text = path.read_text(encoding="utf-8")
    assert re.match(rf"# {path.name[:4]}: \S.+\n\nDate: \d{{4}}-\d\d-\d\d\n\nStatus: \w+", text)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ADR_HEADINGS


def test_the_readme_is_short_and_its_dag_is_the_real_one_shortened():
    assert len(README.splitlines()) <= 200
    (shown,) = (b for b in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "CHAINS" in b)
    real = iter((ROOT / "dags" / "cross_chain_payroll.py").read_text(encoding="utf-8").splitlines())
    missing = [line for line in shown.splitlines() if line.strip() and line not in real]
    assert missing == []


def test_the_readme_prints_the_import_contracts_by_name():
    names = [contract["name"] for contract in PYPROJECT["tool"]["importlinter"]["contracts"]]
    assert re.findall(r"\*([A-Z][^*\n]+)\*", README.partition("Six contracts")[2]) == names
    assert len(names) == 6


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_folder_and_file_of_the_tables_exists(text):
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    named = {
        name
        for row in rows
        for name in re.findall(r"`((?:[\w.]+/)+[\w.]*)`", row)
        if not name.startswith("~")
    }
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_name_that_contributing_calls_a_table_or_function_is_in_its_file():
    claims = re.findall(r"`(\w+)` (?:in|of) `([\w/]+\.py)`", CONTRIBUTING)
    assert len(claims) >= 6
    absent = [
        (name, file)
        for name, file in claims
        if not re.search(rf"\b{name}\b", (ROOT / file).read_text(encoding="utf-8"))
    ]
    assert absent == []


def commands_of(text):
    """Return the lines of indented code that begin with `cwf` or `make`, as words."""
    lines = re.findall(r"^    ((?:cwf|make) .+)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize(
    "words", [w for text in (README, CONTRIBUTING) for w in commands_of(text)], ids=" ".join
)
def test_every_command_that_is_printed_exists(words):
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", MAKEFILE, re.MULTILINE)
        return
    command = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


def test_what_ci_runs_is_the_lint_and_the_readme_s_test_command():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in script if line.startswith("make")] == ["make lint", "make test"]
    assert ["make", "test"] in commands_of(README)


def test_the_hooks_before_a_commit_are_the_commands_of_make_lint():
    recipe = MAKEFILE.partition("\nlint: setup\n")[2].partition("\n\n")[0]
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"entry: (.+)", config) == commands
    assert set(re.findall(r"repo: (.+)", config)) == {"local"}


def test_coverage_counts_the_folders_behind_the_links_too():
    measured = PYPROJECT["tool"]["coverage"]["run"]["source"]
    assert measured == ["airflow_cwf", "operators", "hooks"]


def test_every_marker_is_explained():
    names = [
        line.partition(":")[0] for line in PYPROJECT["tool"]["pytest"]["ini_options"]["markers"]
    ]
    assert [name for name in names if f"`{name}`" not in CONTRIBUTING] == []
