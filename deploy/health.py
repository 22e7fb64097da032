#!/usr/bin/env python3
"""Exit 0 if the api-server says that a component of Airflow is healthy.

    health.py (metadatabase|scheduler|dag_processor|triggerer) [URL]

`airflow jobs check` says the same, but imports all of Airflow at every look.
"""

import json
import sys
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

API_SERVER = "http://api-server:8080"
TIMEOUT_S = 5


def main(component: str, url: str = API_SERVER) -> int:
    """Return the exit status for one component."""
    opener = build_opener(ProxyHandler({}))  # whatever proxy is set, it is not for this
    try:
        with opener.open(f"{url}/api/v2/monitor/health", timeout=TIMEOUT_S) as answer:
            status = json.load(answer)[component]["status"]
    except (URLError, OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"{component}: no answer ({type(error).__name__})\n")
        return 1
    sys.stdout.write(f"{component}: {status}\n")
    return 0 if status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
