"""airflow-cwf: a team of on-chain agents as one Airflow DAG, and nobody is paid twice."""
