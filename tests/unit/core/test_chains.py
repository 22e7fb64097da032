import json
import re
from pathlib import Path

import pytest

from airflow_cwf.core.addresses import parse_evm_address
from airflow_cwf.core.chains import CAIP2, parse_chains
from airflow_cwf.core.errors import ConfigError

TEXT = (Path(__file__).parents[3] / "airflow_cwf/data/chains.json").read_text()
TABLE = json.loads(TEXT)
CHAINS = parse_chains(TEXT)
MEMBERS = {"caip2", "native", "block_time_s", "finality_depth", "genesis", "posting", "tokens"}


@pytest.mark.parametrize("name", TABLE)
def test_every_entry_is_complete_and_well_formed(name):
    entry, chain = TABLE[name], CHAINS[name]
    assert MEMBERS >= entry.keys() >= {"caip2", "native", "block_time_s"}
    assert re.fullmatch(r"[a-z0-9-]+", name)
    assert CAIP2.fullmatch(chain.caip2)
    assert chain.eip155_id > 0
    assert re.fullmatch(r"[A-Za-z]{1,6}", chain.native)
    assert 0 < chain.block_time_s <= 60
    assert chain.finality_depth is None or chain.finality_depth > 0
    assert chain.genesis is None or re.fullmatch(r"0x[0-9a-f]{64}", chain.genesis)


@pytest.mark.parametrize("name", TABLE)
def test_every_token_address_carries_its_checksum(name):
    for symbol, token in TABLE[name].get("tokens", {}).items():
        address = token["address"]
        assert address not in {address.lower(), address.upper()}, "a checksum that says nothing"
        assert parse_evm_address(address) == CHAINS[name].token(symbol).address
        assert type(token["decimals"]) is int


def test_circles_tokens_have_six_decimals_on_every_chain_listed():
    decimals = {t.decimals for c in CHAINS.values() for s, t in c.tokens.items()}
    assert decimals == {6}


def test_no_chain_genesis_or_token_stands_twice():
    tokens = [
        (chain.caip2, token.address) for chain in CHAINS.values() for token in chain.tokens.values()
    ]
    genesis = [chain.genesis for chain in CHAINS.values() if chain.genesis]
    assert len({chain.caip2 for chain in CHAINS.values()}) == len(CHAINS)
    assert len(set(tokens)) == len(tokens)
    assert len(set(genesis)) == len(genesis)


def test_the_chains_of_the_document_can_pay_usdc():
    for name in ("ethereum", "polygon", "arbitrum"):
        assert CHAINS[name].token("USDC").decimals == 6


def test_an_unlisted_token_is_a_config_error_that_names_the_listed_ones():
    with pytest.raises(ConfigError, match="listed: EURC, USDC"):
        CHAINS["ethereum"].token("DOGE")
    with pytest.raises(ConfigError, match="listed: none"):
        CHAINS["bnb"].token("USDC")


def test_a_table_extends_another_member_by_member():
    token = {"address": "0x" + "12" * 20, "decimals": 18}
    text = json.dumps({"bnb": {"tokens": {"PAY": token}}, "local": {"caip2": "eip155:31337"}})
    merged = parse_chains(text, base=CHAINS)
    assert merged["bnb"].token("PAY").decimals == 18
    assert merged["bnb"].caip2 == "eip155:56"
    assert merged["local"].eip155_id == 31337
    assert merged["polygon"] == CHAINS["polygon"]
    assert "PAY" not in CHAINS["bnb"].tokens


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"x": {}}',
        '{"x": {"caip2": "1"}}',
        '{"x": {"caip2": "eip155:1", "block_time_s": "soon"}}',
        '{"x": {"caip2": "eip155:1", "tokens": {"T": {"address": "0x12", "decimals": 6}}}}',
        '{"x": {"caip2": "eip155:1", "tokens": {"T": {"decimals": 6}}}}',
        '{"x": {"caip2": "eip155:1", "batch_payment": "vitalik.eth"}}',
    ],
)
def test_a_malformed_table_is_a_config_error_that_names_its_place(text):
    with pytest.raises(ConfigError, match=r"mine\.json is not a chain table"):
        parse_chains(text, source="mine.json")


def test_a_contract_of_ones_own_is_kept_in_lower_case():
    address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    text = json.dumps({"x": {"caip2": "eip155:5", "batch_payment": address}})
    assert parse_chains(text)["x"].batch_payment == address.lower()


def test_only_eip155_chains_have_an_eip155_id():
    chain = parse_chains('{"hub": {"caip2": "cosmos:cosmoshub-4"}}')["hub"]
    with pytest.raises(ConfigError, match="not an eip155 chain"):
        _ = chain.eip155_id
