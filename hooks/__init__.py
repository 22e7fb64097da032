"""Airflow Connections -> Settings -> wired ports."""
