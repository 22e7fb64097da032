import pytest

from airflow_cwf.core.development import DEVELOPMENT_ACCOUNTS, is_embedded


def test_the_accounts_are_those_of_the_published_mnemonic():
    from eth_account import Account

    Account.enable_unaudited_hdwallet_features()
    words = " ".join(["test"] * 11 + ["junk"])
    paths = [f"m/44'/60'/0'/0/{number}" for number in range(10)]
    made = {Account.from_mnemonic(words, account_path=path).address.lower() for path in paths}
    assert made == DEVELOPMENT_ACCOUNTS


@pytest.mark.parametrize(
    ("client", "embedded"),
    [
        ("anvil/v1.3.5", True),
        ("HardhatNetwork/2.26.0/@nomicfoundation/edr/0.11.3", True),
        ("Ganache/v7.9.2/EthereumJS TestRPC/v7.9.2/ethereum-js", True),
        ("EthereumJS TestRPC/v2.13.2/ethereum-js", True),
        ("Geth/v1.16.3-stable/linux-amd64/go1.24", False),
        ("erigon/3.1.0/linux-amd64", False),
        ("Geth/anvil", False),
        ("", False),
    ],
)
def test_an_embedded_node_is_known_by_its_name(client, embedded):
    assert is_embedded(client) is embedded
