"""Unit tests never touch the user's own Airflow: they have one with an empty home."""

import os
from tempfile import TemporaryDirectory

_HOME = TemporaryDirectory(prefix="cwf-unit-airflow-")

for _name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[_name]
# Airflow reads its home when it is first imported, so this cannot wait for a fixture.
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
