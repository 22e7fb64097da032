"""Write the bad files of this folder anew: `python tests/vectors/car/spoil.py`.

`checkN_NAME.car` must fail at check N. Read as a record's CAR unless NAME begins with `batch`.
"""

from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
RECORD = (HERE / "record.car").read_bytes()
BATCH = (HERE / "directory.car").read_bytes()

HEADER = 59  # varint and header
ROOT = 14  # behind varint, map, name, list, tag, byte string, zero
BODY = HEADER + 2 + 36  # behind the section's varint and CID
LAST_FILE = 1 + 36 + len('{"format":"cwf-batch/1"}')


def changed(data: bytes, place: int, value: int) -> bytes:
    return data[:place] + bytes([value]) + data[place + 1 :]


def flipped(data: bytes, place: int) -> bytes:
    return changed(data, place, data[place] ^ 1)


ROOT_CID = RECORD[ROOT : ROOT + 36]
ROOT_OF_BATCH = BATCH[ROOT : ROOT + 36]
_LINK = BATCH.index(b"\x0a\x24\x01\x55") + 2  # the CID of the directory's first link


def linked(cid: bytes) -> bytes:
    """Return the batch with its first link leading to `cid`, under the root as it was."""
    return BATCH[:_LINK] + cid + BATCH[_LINK + 36 :]


def named_anew(data: bytes) -> bytes:
    """Return the batch with the root that its directory really has."""
    size = int.from_bytes(data[HEADER : HEADER + 1]) & 0x7F | data[HEADER + 1] << 7
    directory = data[BODY : HEADER + 2 + size]
    return data.replace(ROOT_OF_BATCH, ROOT_OF_BATCH[:4] + sha256(directory).digest())


SPOILT = {
    # Framing of a record's CAR
    "check1_empty": b"",
    "check1_only_the_header": RECORD[:HEADER],
    "check1_cut_in_the_varint": RECORD[: HEADER + 1],
    "check1_cut_in_the_cid": RECORD[: HEADER + 20],
    "check1_cut_in_the_block": RECORD[:-1],
    "check1_trailing_byte": RECORD + b"\0",
    "check1_trailing_block": RECORD + RECORD[HEADER:],
    "check1_huge_varint": RECORD[:HEADER] + b"\xff" * 9 + b"\x01" + RECORD[BODY - 36 :],
    "check1_endless_varint": RECORD[:HEADER] + b"\xff" * 1000,
    "check1_length_of_256_mib": RECORD[:HEADER] + b"\xff\xff\xff\x7f" + RECORD[BODY - 36 :],
    "check1_long_form_of_a_varint": b"\xba\x00" + RECORD[1:],
    "check1_section_shorter_than_a_cid": RECORD[:HEADER] + b"\x05hello",
    "check1_section_of_nothing": RECORD[:HEADER] + b"\0",
    "check1_version_2": changed(RECORD, HEADER - 1, 2),
    "check1_no_roots": b"\x11\xa2\x65roots\x80\x67version\x01" + RECORD[HEADER:],
    "check1_two_roots": b"\x63\xa2\x65roots\x82"
    + (b"\xd8\x2a\x58\x25\x00" + ROOT_CID) * 2
    + b"\x67version\x01"
    + RECORD[HEADER:],
    "check1_version_before_roots": b"\x3a\xa2\x67version\x01\x65roots\x81\xd8\x2a\x58\x25\x00"
    + ROOT_CID
    + RECORD[HEADER:],
    "check1_root_without_its_tag": flipped(RECORD, 10),
    "check1_json": b'{"format":"cwf/1"}',
    # CIDs of a record's CAR
    "check2_other_root": flipped(RECORD, ROOT + 35),
    "check2_root_of_another_codec": changed(RECORD, ROOT + 1, 0x70),
    "check2_root_of_another_version": changed(RECORD, ROOT, 2),
    "check2_root_of_another_hash": changed(RECORD, ROOT + 2, 0x13),
    "check2_other_cid": flipped(RECORD, BODY - 1),
    "check2_cid_of_an_unknown_codec": changed(RECORD, BODY - 35, 0x51),
    "check2_other_bytes": flipped(RECORD, len(RECORD) - 1),
    # A batch's CAR
    "check1_batch_without_its_last_file": BATCH[:-LAST_FILE],
    "check1_batch_file_twice": BATCH + BATCH[-LAST_FILE:],
    "check1_batch_of_a_record": RECORD,
    "check1_batch_trailing_byte": BATCH + b"\0",
    "check1_batch_directory_in_a_directory": named_anew(linked(b"\x01\x70\x12\x20" + bytes(32))),
    "check1_batch_link_to_nothing": named_anew(linked(b"\x01\x55\x12\x20" + bytes(32))),
    "check2_batch_cyclic": linked(ROOT_OF_BATCH),
    "check2_batch_other_directory": flipped(BATCH, BATCH.index(b"batch.json")),
    "check2_batch_other_file": flipped(BATCH, len(BATCH) - 1),
}

if __name__ == "__main__":
    for name, data in SPOILT.items():
        (HERE / f"{name}.car").write_bytes(data)
