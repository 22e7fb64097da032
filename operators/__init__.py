"""Airflow operators: declare, enter the event loop once, run one action."""
