"""The batch directory: byte for byte that of dag-pb and ipfs-unixfs, in one form only."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.car import read_car
from airflow_cwf.core.evidence.cid import DAG_PB, cid_of, raw_cid
from airflow_cwf.core.evidence.unixfs import DirectoryEntry, encode_directory, parse_directory

FOLDER = Path(__file__).parents[3] / "vectors/car"
INPUTS = json.loads((FOLDER / "inputs.json").read_bytes())
EMPTY_DIRECTORY = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
ENTRY = DirectoryEntry("batch.json", raw_cid(b"{}"), 2)

entries = st.lists(
    st.builds(
        DirectoryEntry,
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=70).filter(
            lambda name: "/" not in name
        ),
        st.binary(max_size=9).map(raw_cid),
        st.integers(0, 2**20),
    ),
    max_size=8,
    unique_by=lambda entry: entry.name,
)


def entries_of(files):
    return [
        DirectoryEntry(name, raw_cid(text.encode()), len(text.encode()))
        for name, text in files.items()
    ]


@pytest.mark.parametrize("name", INPUTS["directories"])
def test_a_directory_is_that_of_the_reference_libraries(name):
    root, blocks = read_car([(FOLDER / f"{name}.car").read_bytes()], max_blocks=100)
    block = next(blocks)
    made = entries_of(INPUTS["directories"][name])
    assert encode_directory(made) == block.data
    assert cid_of(block.data, codec=DAG_PB) == root
    assert parse_directory(block.data) == tuple(sorted(made, key=lambda entry: entry.name))


def test_the_empty_directory_has_the_cid_that_everybody_knows():
    data = encode_directory([])
    assert data.hex() == "0a020801"
    assert str(cid_of(data, codec=DAG_PB)) == EMPTY_DIRECTORY


@pytest.mark.parametrize(
    "bad",
    [
        [ENTRY, ENTRY],
        [replace(ENTRY, name="")],
        [replace(ENTRY, name="a/b")],
        [replace(ENTRY, name="é")],
        [replace(ENTRY, name="x" * 256)],
        [replace(ENTRY, cid=cid_of(b"{}", codec=DAG_PB))],
    ],
)
def test_a_directory_of_something_else_cannot_be_made(bad):
    with pytest.raises(ValueError, match="directory"):
        encode_directory(bad)


LINK = encode_directory([ENTRY])[:-4]
END = b"\x0a\x02\x08\x01"
FILE = b"\x0a\x02\x08\x02"
ALONE = LINK[2:]
NESTED = encode_directory([ENTRY]).replace(ENTRY.cid.binary, cid_of(b"", codec=DAG_PB).binary)


def linked(content):
    return bytes([0x12, len(content)]) + content + END


@pytest.mark.parametrize(
    "data",
    [
        b"",
        END[:-1],
        END + END,
        LINK,
        LINK + FILE,
        END + LINK,
        LINK + LINK + END,  # a name twice
        encode_directory([replace(ENTRY, name="b")])[:-4]
        + encode_directory([replace(ENTRY, name="a")]),  # out of order
        NESTED,  # a directory in a directory: where a cycle would begin
        linked(ALONE + b"\x20\x01"),  # an unknown field
        linked(ALONE[:-2]),  # no size
        linked(ALONE[38:]),  # no CID
        linked(ALONE[38:50] + ALONE[:38] + ALONE[50:]),  # another order of fields
        linked(ALONE[:-1] + b"\x82\x00"),  # a longer varint
        linked(ALONE[:-1] + b"\xff" * 9 + b"\x01"),  # a huge one
        b"\x12\xff\xff\xff\xff\x0f" + END,
        b"\x12\x7f" + END,
        bytes(2**20) + END,
    ],
)
def test_any_other_block_is_refused(data):
    with pytest.raises(VerificationError) as refused:
        parse_directory(data)
    assert refused.value.check == 1


@given(entries)
def test_any_entries_come_back_in_byte_order(made):
    assert parse_directory(encode_directory(made)) == tuple(
        sorted(made, key=lambda entry: entry.name.encode())
    )


@given(entries, st.data())
def test_a_changed_byte_gives_other_entries_or_none(made, data):
    block = bytearray(encode_directory(made))
    place = data.draw(st.integers(0, len(block) - 1))
    block[place] ^= data.draw(st.integers(1, 255))
    try:
        found = parse_directory(bytes(block))
    except VerificationError:
        return
    assert set(found) != set(made)
    assert encode_directory(found) == block


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise(data):
    for block in (data, data + END):
        with suppress(VerificationError):
            assert encode_directory(parse_directory(block)) == block
