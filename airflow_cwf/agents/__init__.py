"""Agents: decisions about what should happen. They see ports, and never sign."""

from airflow_cwf.agents.base import BaseAgent
from airflow_cwf.agents.compliance import ComplianceAgent
from airflow_cwf.agents.payment import PaymentAgent
from airflow_cwf.agents.registry import AgentRegistry

__all__ = ["AgentRegistry", "BaseAgent", "ComplianceAgent", "PaymentAgent"]
