"""SanctionsHook: where OFAC's list comes from, over a connection of the HTTP provider."""

import asyncio
from dataclasses import replace

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_cwf.core.errors import ConfigError, CwfError
from airflow_cwf.core.screening import DEFAULT_MAX_AGE_S
from airflow_cwf.core.settings import SanctionsSettings
from airflow_cwf.hooks.extras import read_extra

DAY_S = 86_400


class SanctionsHook(BaseHook):
    """The sanctions list's source.

    An `http` connection whose host is the folder of `SDN.CSV` and `SDN_COMMENTS.CSV`; or, with
    `extra.path`, a local folder (or URI) of `sdn.csv` and `sdn_comments.csv`. `extra.max_age_days`
    and `extra.min_entries` change the limits of what is believed.

    Args:
        ofac_http_conn_id: the connection.
    """

    conn_name_attr = "ofac_http_conn_id"
    default_conn_name = "ofac_default"
    hook_name = "OFAC sanctions list"

    def __init__(self, ofac_http_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.ofac_http_conn_id = ofac_http_conn_id

    def get_conn(self) -> SanctionsSettings:
        """Return the source's settings.

        Raises:
            ConfigError: the connection's extra is malformed.
        """
        from airflow.providers.http.hooks.http import HttpHook

        connection = self.get_connection(self.ofac_http_conn_id)
        limits = _limits(connection)
        path = read_extra(connection).get("path")
        if path:
            folder = str(path).rstrip("/")
            return replace(limits, sdn=f"{folder}/sdn.csv", comments=f"{folder}/sdn_comments.csv")
        http = HttpHook(method="GET", http_conn_id=self.ofac_http_conn_id)
        http.get_conn()
        return replace(limits, base_url=http.base_url)

    def test_connection(self) -> tuple[bool, str]:
        """Load the list and say how old and how long it is."""
        from airflow_cwf.wiring import load_sanctions

        try:
            listed = asyncio.run(load_sanctions(self.get_conn()))
        except (CwfError, AirflowNotFoundException) as error:
            return False, str(error)
        found = f"{listed.entries} entries, {len(listed.addresses)} EVM addresses"
        return True, f"{listed.source}: {found}"


def _limits(connection: Connection) -> SanctionsSettings:
    """Return the limits in a connection's extra; days and entries may be numbers or digits."""
    extra = read_extra(connection)
    least, days = extra.get("min_entries"), extra.get("max_age_days")
    try:
        age = DEFAULT_MAX_AGE_S if days is None else round(float(days) * DAY_S)
        return SanctionsSettings(max_age_s=age, min_entries=None if least is None else int(least))
    except (TypeError, ValueError, OverflowError) as error:
        message = (
            f"`max_age_days` and `min_entries` in the extra of the connection "
            f"{connection.conn_id} are numbers."
        )
        raise ConfigError(message) from error
