"""Every trigger class can be stored by Airflow and made again from what was stored."""

import importlib
import json
import pkgutil

import pytest
from airflow.sdk import Asset, AssetWatcher
from airflow.serialization.decoders import smart_decode_trigger_kwargs
from airflow.serialization.encoders import encode_trigger
from airflow.triggers.base import BaseEventTrigger, BaseTrigger

from airflow_cwf import triggers
from airflow_cwf.triggers.blocks import BlockIntervalTrigger

ARGUMENTS = {
    "BlockIntervalTrigger": [
        {"conn_id": "evm_polygon", "every": 50},
        {"conn_id": "node", "every": 1, "until": 123, "chain": "ethereum"},
    ]
}
"""By class; a trigger class without an entry fails the round trip."""


def trigger_classes():
    for module in pkgutil.iter_modules(triggers.__path__, f"{triggers.__name__}."):
        importlib.import_module(module.name)
    found, open_ = set(), [BaseTrigger]
    while open_:
        for child in open_.pop().__subclasses__():
            open_.append(child)
            if child.__module__.startswith("airflow_cwf."):
                found.add(child)
    return sorted(found, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", trigger_classes())
def test_every_trigger_is_the_same_after_a_trip_through_json(cls):
    for arguments in ARGUMENTS[cls.__name__]:
        before = cls(**arguments)
        path, kwargs = before.serialize()
        module, _, name = path.rpartition(".")
        again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))
        assert type(again) is cls
        assert again.serialize() == (path, kwargs)
        # `LoggingMixin` and `BaseTrigger` add members of their own; ours are those.
        assert {key: vars(again)[key] for key in kwargs} == kwargs
        assert arguments.items() <= kwargs.items()


@pytest.mark.parametrize("cls", trigger_classes())
def test_airflow_knows_a_stored_trigger_again_so_that_no_parse_makes_a_second_one(cls):
    for arguments in ARGUMENTS[cls.__name__]:
        encoded = encode_trigger(cls(**arguments))
        path, kwargs = encoded["classpath"], encoded["kwargs"]
        stored = json.loads(json.dumps(kwargs))
        assert BaseEventTrigger.hash(path, stored) == BaseEventTrigger.hash(path, kwargs)
        decoded = {key: smart_decode_trigger_kwargs(value) for key, value in stored.items()}
        assert cls(**decoded).serialize() == cls(**arguments).serialize()


def test_an_asset_watcher_takes_the_trigger():
    watcher = AssetWatcher(name="blocks", trigger=BlockIntervalTrigger("evm_polygon", 50))
    assert Asset("anchors", watchers=[watcher]).watchers == [watcher]
