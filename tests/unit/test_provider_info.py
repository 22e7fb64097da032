import json
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema
import pytest
from airflow.sdk.configuration import conf
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from airflow_cwf.provider_info import CONNECTION_TYPES, OPTIONS, get_provider_info

SCHEMA = Path(airflow.__file__).with_name("provider_info.schema.json")


def test_airflows_own_schema_accepts_it():
    jsonschema.validate(get_provider_info(), json.loads(SCHEMA.read_text()))


def test_the_entry_point_leads_to_it():
    (entry,) = [e for e in entry_points(group="apache_airflow_provider") if "cwf" in e.value]
    assert entry.load() is get_provider_info


def test_every_module_and_hook_that_it_names_exists():
    info = get_provider_info()
    for part in [*info["operators"], *info["hooks"]]:
        for module in part["python-modules"]:
            import_module(module)
    for kind in info["connection-types"]:
        module, _, name = kind["hook-class-name"].rpartition(".")
        hook = getattr(import_module(module), name)
        assert hook.conn_type == kind["connection-type"]
        assert hook.hook_name == kind["hook-name"]


def test_the_connection_types_are_offered_by_airflow():
    hooks = ProvidersManagerTaskRuntime().hooks
    for kind in CONNECTION_TYPES:
        name = kind["connection-type"]
        assert hooks[name] is not None, f"{name} cannot be imported"
        assert hooks[name].hook_name == kind["hook-name"]


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_an_option_is_readable_with_its_default_and_can_be_set(name, monkeypatch):
    monkeypatch.delenv(f"AIRFLOW__CWF__{name.upper()}", raising=False)
    assert conf.get("cwf", name) == OPTIONS[name]["default"]
    monkeypatch.setenv(f"AIRFLOW__CWF__{name.upper()}", "/srv/x")
    assert conf.get("cwf", name) == "/srv/x"
