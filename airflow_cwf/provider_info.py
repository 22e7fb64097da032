"""What Airflow reads about this provider."""
def get_provider_info() -> dict: return {"package-name":"airflow-cwf","name":"CWF","description":"x","versions":["0.1.0"]}
