"""airflow-cwf: a team of on-chain agents as one Airflow DAG, and nobody is paid twice."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_cwf.agents import AgentRegistry, BaseAgent
    from airflow_cwf.core.gas_price import FastGas, congested, when
    from airflow_cwf.core.schemas import AgentOutputSchema, WorkflowMetadata
    from airflow_cwf.workflow import ConcurrentWorkflow

__all__ = [
    "AgentOutputSchema",
    "AgentRegistry",
    "BaseAgent",
    "ConcurrentWorkflow",
    "FastGas",
    "WorkflowMetadata",
    "congested",
    "when",
]

_HOMES = {
    "AgentOutputSchema": "airflow_cwf.core.schemas",
    "AgentRegistry": "airflow_cwf.agents",
    "BaseAgent": "airflow_cwf.agents",
    "ConcurrentWorkflow": "airflow_cwf.workflow",
    "FastGas": "airflow_cwf.core.gas_price",
    "WorkflowMetadata": "airflow_cwf.core.schemas",
    "congested": "airflow_cwf.core.gas_price",
    "when": "airflow_cwf.core.gas_price",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever stands under the name
    """Import a public name at its first use, so that `import airflow_cwf` costs nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
