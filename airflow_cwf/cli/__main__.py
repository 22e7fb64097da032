"""`python -m airflow_cwf.cli` is `cwf`."""

from airflow_cwf.cli import main

main()
