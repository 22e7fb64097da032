"""CAR files: byte for byte those of @ipld/car, and readers that no file can mislead."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.batch_car import read_batch_car
from airflow_cwf.core.evidence.car import (
    MAX_RECORD_CAR_BYTES,
    car_pieces,
    is_car,
    read_car,
    read_record_car,
    record_car,
    varint,
)
from airflow_cwf.core.evidence.cid import CID_BYTES, DAG_PB, Block, cid_of, raw_cid

FOLDER = Path(__file__).parents[3] / "vectors/car"
INPUTS = json.loads((FOLDER / "inputs.json").read_bytes())
RECORD = INPUTS["record"].encode()
BAD = sorted(path.stem for path in FOLDER.glob("check*.car"))


def read_whole(data, **bounds):
    root, blocks = read_car([data], **({"max_blocks": 100} | bounds))
    return root, list(blocks)


def read_as_named(name, data):
    if name.partition("_")[2].startswith("batch"):
        _, _, files = read_batch_car([data])
        list(files)
    else:
        read_record_car(data)


def test_a_records_car_is_that_of_ipld_car():
    car = (FOLDER / "record.car").read_bytes()
    assert record_car(RECORD) == car
    assert read_record_car(car) == RECORD
    assert car[0] == 58
    assert is_car(car)
    assert not is_car(RECORD)
    assert not is_car(b"")


@pytest.mark.parametrize("name", ["directory", "empty", "many"])
def test_files_of_many_blocks_come_back_byte_for_byte(name):
    car = (FOLDER / f"{name}.car").read_bytes()
    root, blocks = read_whole(car)
    assert blocks[0].cid == root
    assert b"".join(car_pieces(root, blocks)) == car


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_fails_at_the_check_in_its_name(name):
    with pytest.raises(VerificationError) as refused:
        read_as_named(name, (FOLDER / f"{name}.car").read_bytes())
    assert f"check{refused.value.check}" == name.partition("_")[0]


def test_there_are_bad_files():
    assert len(BAD) > 30


def test_each_byte_of_a_records_car_belongs_to_one_check():
    """Bytes of the two CIDs and of the record fail check 2, all others check 1."""
    car = record_car(RECORD)
    body = len(car) - len(RECORD)
    named = {*range(14, 14 + CID_BYTES), *range(body - CID_BYTES, len(car))}
    for place in range(len(car)):
        for bit in range(8):
            changed = car[:place] + bytes([car[place] ^ 1 << bit]) + car[place + 1 :]
            with pytest.raises(VerificationError) as refused:
                read_record_car(changed)
            assert refused.value.check == (2 if place in named else 1), (place, bit)


def test_a_file_cut_anywhere_fails_check_1():
    car = record_car(RECORD)
    for length in range(len(car)):
        with pytest.raises(VerificationError) as refused:
            read_record_car(car[:length])
        assert refused.value.check == 1


def test_a_large_file_is_refused_unread():
    with pytest.raises(VerificationError, match="2097152"):
        read_record_car(bytes(MAX_RECORD_CAR_BYTES + 1))


def test_blocks_above_the_bounds_are_refused():
    blocks = [Block(raw_cid(data), data) for data in (b"one", b"three")]
    car = b"".join(car_pieces(blocks[0].cid, blocks))
    assert read_whole(car, max_blocks=2, max_block_bytes=5)[1] == blocks
    for bounds in ({"max_blocks": 1}, {"max_block_bytes": 4}):
        with pytest.raises(VerificationError) as refused:
            read_whole(car, **bounds)
        assert refused.value.check == 1


def test_blocks_are_read_one_at_a_time():
    """What stands behind a block is not asked for before that block is handed out."""
    blocks = [Block(raw_cid(data), data) for data in (b"one", b"two")]
    asked = []

    def pieces():
        for piece in car_pieces(blocks[0].cid, blocks):
            asked.append(piece)
            yield piece

    root, found = read_car(pieces(), max_blocks=2)
    assert root == blocks[0].cid
    assert len(asked) == 1
    assert next(found) == blocks[0]
    assert len(asked) == 2
    assert list(found) == blocks[1:]


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (255, "ff01"),
        (300, "ac02"),
        (16384, "808001"),
    ],
)
def test_varints_are_those_of_the_specification(value, encoded):
    assert varint(value).hex() == encoded


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6), st.integers(1, 50))
def test_any_blocks_come_back_however_the_file_is_cut(contents, step):
    blocks = [Block(cid_of(data, codec=DAG_PB), data) for data in contents]
    car = b"".join(car_pieces(blocks[0].cid, blocks))
    cut = [car[at : at + step] for at in range(0, len(car), step)]
    root, found = read_car(cut, max_blocks=6)
    assert (root, list(found)) == (blocks[0].cid, blocks)


@given(st.binary(max_size=2_000))
def test_any_record_comes_back(record):
    assert read_record_car(record_car(record)) == record


GOOD = [(FOLDER / f"{name}.car").read_bytes() for name in ("record", "directory", "empty")]


@given(st.binary(max_size=300), st.sampled_from(GOOD), st.integers(0, 600), st.integers(0, 600))
def test_no_bytes_make_a_reader_fail_otherwise(noise, good, start, end):
    spliced = good[:start] + noise + good[end:]
    for data in (noise, spliced):
        for name in ("x_record", "x_batch"):
            with suppress(VerificationError):
                read_as_named(name, data)
