#!/usr/bin/env python3
"""Make the secret files that docker-compose.yaml mounts; needs nothing but Python.

    deploy/make_secrets.py --keystore payer.json --keystore-password payer.password \
        --rpc ethereum=https://... --rpc polygon=https://...
    deploy/make_secrets.py ... --local          # the three anvil nodes instead of --rpc

Random secrets are made once and never overwritten: another Fernet key could not read what the
first one wrote, and PostgreSQL keeps the password of its first start. `connections.json` is
written anew whenever --rpc or --local is given. The folder is the owner's alone (0700); the files
in it are 0444, because Docker mounts them one by one for other users inside the containers.
"""

import argparse
import json
import os
import secrets
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "secrets"
LOCAL = {name: f"http://anvil-{name}:8545" for name in ("ethereum", "polygon", "arbitrum")}
OFAC = "https://sanctionslistservice.ofac.treas.gov/api/PublicationPreview/exports"


def main() -> int:
    """Make what is absent; return the exit status."""
    arguments = _arguments()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _make_random(folder)
    for name, given in (
        ("keystore.json", arguments.keystore),
        ("keystore_password", arguments.keystore_password),
    ):
        if given is not None:
            _write(folder / name, given.read_text(encoding="utf-8"))
    nodes = {**(LOCAL if arguments.local else {}), **dict(arguments.rpc)}
    missing = [name for name in ("keystore.json", "keystore_password") if not _has(folder, name)]
    if missing:
        sys.stderr.write(
            f"{' and '.join(missing)} absent: give --keystore and --keystore-password.\n"
        )
        return 1
    if nodes:
        _write(folder / "connections.json", json.dumps(_connections(folder, nodes), indent=1))
    if not _has(folder, "connections.json"):
        sys.stderr.write("No node: give --rpc NAME=URL, or --local.\n")
        return 1
    sys.stdout.write(f"{folder} is ready; Airflow's user is admin, its password is in\n")
    sys.stdout.write(f"{folder / 'airflow_passwords.json'}\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the secret files of docker-compose.yaml.")
    parser.add_argument("--keystore", type=Path, help="the payer's keystore (V3)")
    parser.add_argument("--keystore-password", type=Path, help="file with its passphrase")
    parser.add_argument(
        "--rpc", action="append", default=[], type=_node, metavar="NAME=URL", help="a chain's node"
    )
    parser.add_argument("--local", action="store_true", help="the nodes of the profile `local`")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write")
    return parser.parse_args()


def _node(text: str) -> tuple[str, str]:
    name, separator, url = text.partition("=")
    if not (name and separator and url.startswith(("http://", "https://"))):
        raise argparse.ArgumentTypeError("expected NAME=http(s)://...")
    return name, url


def _make_random(folder: Path) -> None:
    _make_once(folder / "fernet_key", lambda: urlsafe_b64encode(secrets.token_bytes(32)).decode())
    for name in ("api_secret_key", "jwt_secret", "postgres_password"):
        _make_once(folder / name, lambda: secrets.token_hex(32))
    password = (folder / "postgres_password").read_text(encoding="utf-8")
    _make_once(
        folder / "database_url",
        lambda: f"postgresql+psycopg2://airflow:{password}@postgres/airflow",
    )
    _make_once(
        folder / "airflow_passwords.json", lambda: json.dumps({"admin": secrets.token_urlsafe(16)})
    )
    _make_once(
        folder / "redis.conf",
        lambda: f"dir /data\nappendonly yes\nrequirepass {secrets.token_hex(32)}\n",
    )


def _connections(folder: Path, nodes: Mapping[str, str]) -> dict[str, object]:
    """Return Airflow's connections, in the form of its local filesystem backend."""
    password = (folder / "keystore_password").read_text(encoding="utf-8").rstrip("\r\n")
    return {
        "cwf_signer_default": {
            "conn_type": "cwf_signer",
            "password": password,
            "extra": {"keystore_path": "/run/secrets/keystore.json"},
        },
        "ofac_default": {"conn_type": "http", "host": OFAC},
        **{
            f"evm_{name}": {"conn_type": "evm", "host": url, "extra": {"chain": name}}
            for name, url in nodes.items()
        },
    }


def _has(folder: Path, name: str) -> bool:
    return (folder / name).exists()


def _make_once(place: Path, make: Callable[[], str]) -> None:
    if not place.exists():
        _write(place, make())


def _write(place: Path, text: str) -> None:
    """Replace a file at once, so that an interrupted run leaves the old one."""
    draft = place.with_name(f".{place.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(0o444)
    os.replace(draft, place)  # noqa: PTH105 - clearer than `Path.replace` about its direction


if __name__ == "__main__":
    sys.exit(main())
