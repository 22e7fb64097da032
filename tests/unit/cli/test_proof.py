import json
import shutil

import pytest
from typer.testing import CliRunner

from airflow_cwf.cli.proof import proof
from tests.fakes.groth16 import VECTORS


def run(folder):
    files = ("verification_key.json", "public.json", "proof.json")
    names = [str(folder / name) for name in files]
    arguments = ["verify", "--vk", names[0], "--public", names[1], "--proof", names[2]]
    return CliRunner().invoke(proof, arguments)


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(VECTORS / "product", tmp_path / "product")


def test_a_triple_of_another_circuit_holds(folder):
    result = run(folder)
    assert result.exit_code == 0
    assert result.output.startswith("HELD: the proof of 2 public signals, under key 0x")
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("public.json", '["43", "11"]'),
        ("public.json", '["42"]'),
        ("public.json", "[" * 10_000),
        ("proof.json", "{}"),
        ("proof.json", "not JSON"),
        ("verification_key.json", "[]"),
    ],
)
def test_what_is_false_or_broken_gives_one_line_and_exit_1(folder, name, text):
    (folder / name).write_text(text)
    result = run(folder)
    assert result.exit_code == 1
    assert result.output.startswith("FALSE: ")
    assert result.output.count("\n") == 1


def test_a_key_straight_from_setup_is_refused():
    result = run(VECTORS / "setup_only")
    assert (result.exit_code, "gamma equals delta" in result.output) == (1, True)


def test_a_missing_file_gives_one_line_and_exit_1(folder):
    (folder / "proof.json").unlink()
    result = run(folder)
    assert result.exit_code == 1
    assert result.output == "FALSE: a file cannot be read (No such file or directory).\n"


def test_a_signal_that_wraps_around_the_field_is_refused(folder):
    signals = json.loads((folder / "public.json").read_text())
    order = 21888242871839275222246405745257275088548364400416034343698204186575808495617
    (folder / "public.json").write_text(json.dumps([str(int(signals[0]) + order), signals[1]]))
    result = run(folder)
    assert (result.exit_code, "not below r" in result.output) == (1, True)
