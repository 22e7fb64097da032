import hashlib
from pathlib import Path

import pytest

from airflow_cwf.core.errors import SanctionsListError
from airflow_cwf.core.screening import DEFAULT_MIN_ENTRIES, check_age, parse_sdn

VECTORS = Path(__file__).parents[3] / "tests/vectors/ofac"
SDN = (VECTORS / "sdn.csv").read_bytes()
COMMENTS = (VECTORS / "sdn_comments.csv").read_bytes()
DAY = 86_400
NOW = 1_780_000_000


def evm(digit):
    return "0x" + digit * 40


def parse(sdn=SDN, comments=COMMENTS, *, min_entries=1, published=NOW):
    return parse_sdn(sdn, comments, published=published, source="test", min_entries=min_entries)


def entry(number, remarks):
    return f'{number},"X"' + ",-0- " * 9 + f',"{remarks}"\r\n'


def parse_remarks(remarks, **options):
    return parse(entry(1, remarks).encode(), b"", **options)


def test_addresses_of_all_assets_are_found_across_the_cut_in_the_remarks():
    found = parse()
    assert found.addresses == {"0x" + "ab" * 20, *map(evm, "12356")}
    assert found.others == {
        "1SyntheticBitcoinAddress111111111",
        "1SyntheticBitcoinAddress222222222",
        "4" + "Aa1" * 31 + "B",
        "TSyntheticTronAddress1111111111111",
    }
    assert found.entries == 8


def test_the_first_file_alone_would_lose_addresses_so_it_is_refused():
    for comments in (b"", (VECTORS / "comments-of-another-day.csv").read_bytes()):
        with pytest.raises(SanctionsListError, match="cut off"):
            parse(comments=comments)


def test_remarks_continue_over_several_rows():
    comments = (VECTORS / "comments-in-two-parts.csv").read_bytes()
    assert parse(comments=comments).addresses == parse().addresses


def test_a_continuation_without_its_entry_is_screened_all_the_same():
    extra = f'999,"s - ETH {evm("9")}; Digital Currency Address - XBT 1Orphan{"x" * 20}."\r\n'
    found = parse(comments=COMMENTS + extra.encode())
    assert found.lists(evm("9"))
    assert found.lists("1Orphan" + "x" * 20)


def test_misprinted_addresses_are_reported_and_their_neighbours_kept():
    found = parse()
    assert found.malformed == (
        f"Digital Currency Address - ETH 0x{'4' * 39}",
        "Digital Currency Address - ETH",
    )
    assert found.lists(evm("5"))


@pytest.mark.parametrize(
    "claim",
    [
        "Digital Currency Address - ETH 0x" + "1" * 41,
        "Digital Currency Address - ETH " + "a" * 39,
        "Digital Currency Address - XBT short",
        "Digital Currency Address - XBT 1SyntheticBitcoin Address111111111",
        "Digital Currency Address: XBT 1SyntheticBitcoinAddress111111111",
        "digital currency address - XBT 1SyntheticBitcoinAddress111111111",
        "Digital Currency Addres",
    ],
)
def test_whatever_speaks_of_a_digital_currency_and_does_not_parse_is_reported(claim):
    assert parse_remarks(f"Linked To: X; {claim}; DOB 1970.", min_entries=0).malformed == (claim,)


def test_an_address_without_its_prefix_or_outside_its_clause_counts():
    found = parse_remarks(f"Digital Currency Address - ETH {'A' * 40}; Website {evm('b')}.")
    assert found.lists(evm("a"))
    assert found.lists(evm("b"))


def test_a_transaction_hash_is_not_taken_for_an_address():
    assert not parse_remarks(f"Transaction 0x{'1' * 64}.", min_entries=0).addresses


def test_evm_addresses_match_by_bytes_and_others_by_their_exact_text():
    found = parse()
    assert found.lists("0x" + "aB" * 20)
    assert found.lists("0X" + "AB" * 20)
    assert not found.lists(evm("7"))
    assert found.lists("TSyntheticTronAddress1111111111111")
    assert not found.lists("tsynthetictronaddress1111111111111")


def test_the_digest_is_of_both_files_one_after_the_other():
    assert parse().sha256 == hashlib.sha256(SDN + COMMENTS).hexdigest()


def test_names_in_latin_1_do_not_stop_the_list():
    sdn = SDN.replace(b"PLAIN ENTITY", "JOSÉ".encode("latin-1"))
    assert parse(sdn).addresses == parse().addresses


@pytest.mark.parametrize(
    ("sdn", "reason"),
    [
        ((VECTORS / "maintenance.html").read_bytes(), "does not look like OFAC's file in line 1"),
        ((VECTORS / "truncated.csv").read_bytes(), "does not look like OFAC's file"),
        (b'{"error": "not found"}', "does not look like OFAC's file in line 1"),
        (b"", "truncated"),
        (SDN.replace(b"102,", b"101,"), "appears twice"),
        (SDN.replace(b"102,", b"ent_num,"), "not 12 fields of an entry"),
    ],
)
def test_another_kind_of_file_is_refused(sdn, reason):
    with pytest.raises(SanctionsListError, match=reason):
        parse(sdn)


def test_comments_of_another_shape_are_refused():
    with pytest.raises(SanctionsListError, match=r"sdn_comments\.csv does not look like"):
        parse(comments=SDN)


def test_a_list_that_ends_early_is_refused_unless_its_owner_says_otherwise():
    with pytest.raises(SanctionsListError, match=rf"8 entries.*at least {DEFAULT_MIN_ENTRIES}"):
        parse_sdn(SDN, COMMENTS, published=NOW, source="test")
    with pytest.raises(SanctionsListError, match="0 digital-currency addresses"):
        parse_remarks("Nothing.")
    assert parse_remarks("Nothing.", min_entries=0).entries == 1
    assert parse(b"", b"", min_entries=0).entries == 0


def test_a_complete_remark_of_exactly_the_limit_needs_no_continuation():
    assert parse_remarks("x" * 999 + ".", min_entries=0).entries == 1


def test_absent_remarks_and_continuations_are_empty():
    sdn = entry(1, "-0- ").encode()
    assert parse(sdn, b'1,"-0- "\r\n', min_entries=0).entries == 1


@pytest.mark.parametrize("age", [0, 6.9 * DAY, -0.9 * DAY])
def test_a_recent_list_is_taken(age):
    check_age(parse(), now=NOW + age)


def test_an_old_list_stops_everything_and_says_its_date_and_the_way_out():
    with pytest.raises(SanctionsListError, match=r"of 2026-05-28 .* 8\.0 days old.*max_age_s"):
        check_age(parse(), now=NOW + 8 * DAY)
    check_age(parse(), now=NOW + 8 * DAY, max_age_s=9 * DAY)


def test_a_list_from_the_future_stops_everything():
    with pytest.raises(SanctionsListError, match="lies in the future"):
        check_age(parse(), now=NOW - 2 * DAY)


def test_a_date_beyond_the_calendar_is_still_an_error_for_people():
    with pytest.raises(SanctionsListError, match="Unix second"):
        check_age(parse(published=10**20), now=NOW)
