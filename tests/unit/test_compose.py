"""docker-compose.yaml, held against the Compose schema and this project's own code.

No Docker engine is needed; what one would find out by starting the services is not tested here.
"""

import inspect
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from airflow_cwf.cli import app
from airflow_cwf.localnet import airflow as local_airflow
from airflow_cwf.localnet import anvil, world

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors" / "compose"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

ONE_SHOT = {"init"}
FOREIGN = {"postgres", "kubo", "redis"}
"""Services that run their image's own program and none of ours."""
PINNED = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z0-9-]+)?(@sha256:[0-9a-f]{64})?")
PINNED_POSTGRES = re.compile(r"postgres:16\.\d+-[a-z]+(@sha256:[0-9a-f]{64})?")
SECRET_WORDS = re.compile(r"password|secret|token|private|fernet|jwt|conn\b|_key", re.IGNORECASE)

services = pytest.mark.parametrize("name", SERVICES)


def command(name: str) -> list[str]:
    return SERVICES[name].get("entrypoint") or SERVICES[name].get("command") or []


def secrets_of(service: dict) -> set[str]:
    return {s if isinstance(s, str) else s["source"] for s in service.get("secrets", [])}


def literals(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from literals(member, f"{path}/{key}")
    elif isinstance(value, list):
        for member in value:
            yield from literals(member, path)
    else:
        yield path, str(value)


# --- the file as a whole ---


def schema() -> Draft7Validator:
    return Draft7Validator(json.loads((VECTORS / "compose-spec.json").read_text()))


def test_the_file_keeps_to_the_published_schema():
    assert [error.message for error in schema().iter_errors(COMPOSE)] == []


def test_the_schema_is_the_real_one_for_it_refuses_what_compose_refuses():
    for broken in (
        COMPOSE | {"servces": {}},
        COMPOSE | {"services": {"a": {"image": "x:1", "port": ["1:1"]}}},
        COMPOSE | {"services": {"a": {"image": "x:1", "healthcheck": {"test": 5}}}},
        COMPOSE | {"secrets": {"a": "./file"}},
    ):
        assert list(schema().iter_errors(broken)) != []


def test_the_services_are_those_that_the_deployment_needs():
    assert set(SERVICES) == {
        "init", "api-server", "scheduler", "dag-processor", "triggerer",
        "postgres", "redis", "kubo", "anvil-ethereum", "anvil-polygon", "anvil-arbitrum",
    }  # fmt: skip


@services
def test_every_image_is_pinned(name):
    image = SERVICES[name]["image"]
    if "build" in SERVICES[name]:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert image == f"airflow-cwf:{project['version']}"
    else:
        assert PINNED.fullmatch(image) or PINNED_POSTGRES.fullmatch(image), image


@services
def test_every_service_is_checked_for_its_health_or_ends(name):
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"] == "no"
        waiting = [s for s in SERVICES.values() if name in s.get("depends_on", {})]
        states = {s["depends_on"][name]["condition"] for s in waiting}
        assert states == {"service_completed_successfully"}
    else:
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries"} <= set(service["healthcheck"])


@services
def test_whom_a_service_waits_for_exists_and_can_become_ready(name):
    for other, wish in SERVICES[name].get("depends_on", {}).items():
        assert SERVICES[other].get("profiles", []) == [], "a profile that is off would never start"
        if wish["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]


def test_one_port_is_published_and_only_to_this_machine():
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert published == {"api-server": ["127.0.0.1:8080:8080"]}
    assert not [name for name, s in SERVICES.items() if "network_mode" in s]


@services
def test_a_service_has_no_rights_that_it_does_not_need(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    user = service.get("user") or re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert user.partition(":")[0] not in {"", "0", "root"}


# --- secrets ---


@services
def test_every_secret_is_declared_and_mounted_where_it_is_read(name):
    service = SERVICES[name]
    mounted = secrets_of(service)
    assert mounted <= set(COMPOSE["secrets"])
    # The image's entrypoint reads one more, where it is mounted.
    for path, text in literals({k: v for k, v in service.items() if k != "secrets"}):
        for secret in re.findall(r"/run/secrets/([\w.-]+)", text):
            assert secret in mounted, f"{path} reads {secret}"


def test_no_secret_is_declared_in_vain_and_each_is_a_file_of_the_secrets_folder():
    used = set().union(*(secrets_of(service) for service in SERVICES.values()))
    assert used == set(COMPOSE["secrets"])
    files = {name: secret["file"] for name, secret in COMPOSE["secrets"].items()}
    assert files == {name: f"./deploy/secrets/{name}" for name in files}


def test_the_key_that_signs_is_mounted_where_tasks_run_and_nowhere_else():
    holders = {n for n, s in SERVICES.items() if {"keystore.json"} & secrets_of(s)}
    assert holders == {"scheduler"}


@services
def test_no_environment_value_is_a_secret(name):
    for key, value in SERVICES[name].get("environment", {}).items():
        if SECRET_WORDS.search(key) and key not in {
            "AIRFLOW__SECRETS__BACKEND", "AIRFLOW__SECRETS__BACKEND_KWARGS",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
        }:  # fmt: skip
            assert re.fullmatch(r"(cat )?/run/secrets/[\w.-]+", str(value)), key
        assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), f"{key} holds a password"


def test_airflow_takes_each_of_these_options_from_a_command():
    from airflow.configuration import conf

    options = {
        key.removeprefix("AIRFLOW__").removesuffix("_CMD").lower()
        for key in COMPOSE["x-airflow"]["environment"]
        if key.endswith("_CMD")
    }
    sensitive = {f"{section}__{option}" for section, option in conf.sensitive_config_values}
    assert options == {
        "core__fernet_key", "database__sql_alchemy_conn", "api__secret_key", "api_auth__jwt_secret",
    }  # fmt: skip
    assert options <= sensitive


def test_the_secrets_never_reach_the_repository_or_the_engine():
    assert "*" in (ROOT / "deploy/secrets/.gitignore").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert not [line for line in ignored if line.startswith("!") and "secret" in line]


# --- commands: ours are the ones that the demo and the tests run ---


def local_components() -> dict[str, tuple[str, ...]]:
    """Return the arguments of `airflow` with which `LocalAirflow` starts its components."""
    started: dict[str, tuple[str, ...]] = {}

    class Recorder:
        def run(self, name, command, **_):
            started[name] = tuple(command[3:])

        def start(self, name, command, **_):
            started[name] = tuple(command[3:])

    recorder = object.__new__(local_airflow.LocalAirflow)
    recorder._processes = Recorder()
    recorder._environment = dict
    recorder.start(triggerer=True)
    return started


@pytest.mark.parametrize("name", ["api-server", "scheduler", "dag-processor", "triggerer"])
def test_a_component_of_airflow_is_started_as_the_demo_starts_it(name):
    program, *arguments = command(name)
    assert program == "airflow"
    ours = local_components()[f"airflow-{name}"]
    # Options may have other values here, such as a time-out.
    assert [a for a in arguments if not a.isdecimal()] == [a for a in ours if not a.isdecimal()]
    assert SERVICES[name]["healthcheck"]["test"][:3] == [
        "CMD",
        "python",
        "/opt/cwf/deploy/health.py",
    ]


def test_the_init_service_makes_database_and_journal_with_commands_that_exist():
    shell, flags, script = command("init")
    assert (shell, flags) == ("sh", "-ec")
    migrate_airflow, migrate_journal = (line.split() for line in script.split("; "))
    assert tuple(migrate_airflow[1:]) == local_components()["airflow-db-migrate"]
    from typer.testing import CliRunner

    assert migrate_journal[0] == "cwf"
    shown = CliRunner().invoke(app, [*migrate_journal[1:], "--help"])
    assert shown.exit_code == 0
    assert "Make the journal" in shown.stdout


@pytest.mark.parametrize("chain", world.CHAIN_IDS)
def test_an_anvil_is_started_as_the_demo_starts_it(chain, monkeypatch):
    commands = []

    class Stop(Exception):  # noqa: N818
        pass

    class Recorder:
        def start(self, name, command, **_):
            commands.append(command)
            raise Stop

    monkeypatch.setattr(anvil, "find_anvil", lambda: Path("anvil"))
    with pytest.raises(Stop):
        anvil.start_anvil(
            Recorder(), chain_id=world.CHAIN_IDS[chain], block_time=world.BLOCK_TIME_S
        )
    (ours,) = ([str(part) for part in parts] for parts in commands)
    here = command(f"anvil-{chain}")
    assert without_place(here) == without_place(ours)
    assert SERVICES[f"anvil-{chain}"]["networks"] == ["backend"]
    assert COMPOSE["networks"]["backend"] == {"internal": True}, "published keys stay inside"
    assert SERVICES[f"anvil-{chain}"]["profiles"] == ["local"]


def without_place(parts: list[str]) -> dict[str, str]:
    """Return a command's options with their values, but not where it listens."""
    found, name = {"program": parts[0]}, ""
    for part in parts[1:]:
        if part.startswith("--"):
            name = part
            found[name] = ""
        else:
            found[name] = part
    return {name: value for name, value in found.items() if name not in {"--host", "--port"}}


def test_the_anvil_image_has_the_version_that_the_tests_run():
    npm = json.loads((ROOT / "package.json").read_text())["optionalDependencies"]
    assert {f"v{version}" for package, version in npm.items() if "/anvil-" in package} == {
        COMPOSE["x-anvil"]["image"].partition(":")[2]
    }


def test_every_other_command_is_an_images_own():
    known = set(local_components()) | {f"anvil-{chain}" for chain in world.CHAIN_IDS} | {"init"}
    ours = {name for name in SERVICES if f"airflow-{name}" in known or name in known}
    assert set(SERVICES) - ours == FOREIGN
    assert [command(name)[:1] for name in sorted(FOREIGN)] == [[], [], ["redis-server"]]


def test_celery_is_not_offered_while_the_journal_refuses_it():
    from airflow_cwf.hooks import journal

    refuses = "celery" in inspect.getsource(journal)
    assert refuses == (COMPOSE["x-airflow"]["environment"]["AIRFLOW__CORE__EXECUTOR"]
                       == "LocalExecutor")  # fmt: skip
    assert SERVICES["redis"]["profiles"] == ["celery"]
    assert SERVICES["scheduler"].get("deploy", {}).get("replicas", 1) == 1
