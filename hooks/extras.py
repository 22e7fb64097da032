"""A connection's extra, or an error: Airflow itself reads a broken one as an empty one."""

import json
from typing import Any

from airflow.sdk import Connection

from airflow_cwf.core.errors import ConfigError


def read_extra(connection: Connection) -> dict[str, Any]:
    """Return a connection's extra as an object.

    `Connection.extra_dejson` logs what it cannot parse, text and all, and returns nothing; so a
    misplaced comma would silently lift the policy that stands there.

    Raises:
        ConfigError: it is not a JSON object; the text is not repeated.
    """
    if not connection.extra:
        return {}
    try:
        extra = json.loads(connection.extra)
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        message = f"The extra of the connection {connection.conn_id} is not a JSON object."
        raise ConfigError(message)
    return extra
