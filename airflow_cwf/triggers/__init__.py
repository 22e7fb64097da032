"""What Airflow's triggerer awaits for the operators and the asset watchers."""
