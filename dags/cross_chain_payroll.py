"""A payroll on three chains: load, screen, ask, pay, record.

The file names who gets what on which chain; nobody is paid twice under one payroll id, whatever
is retried, cleared or run again.
"""

from datetime import timedelta

from airflow.sdk import Param, chain, dag

from airflow_cwf.agents import ComplianceAgent, PaymentAgent
from airflow_cwf.operators.agent import ConcurrentAgentOperator
from airflow_cwf.operators.payments import ApprovePaymentsOperator, LoadPaymentsOperator
from airflow_cwf.operators.workflow import AggregateWorkflowOperator

CHAINS = ["ethereum", "polygon", "arbitrum"]


@dag(
    schedule="0 6 25 * *",
    catchup=False,
    max_active_runs=1,
    tags=["cwf", "payroll"],
    params={
        "source": Param("s3://hr/payroll.csv", type="string"),
        "payroll_id": Param(None, type=["null", "string"]),
    },
)
def cross_chain_payroll() -> None:
    """Pay a payroll file on three chains."""
    agents = ConcurrentAgentOperator.for_agents
    load = LoadPaymentsOperator(
        task_id="load",
        source="{{ params.source }}",
        payroll_id="{{ params.payroll_id or dag_run.run_after.strftime('%Y-%m') }}",
    )
    screen = agents(task_id="screen", agents=[ComplianceAgent()], task=load.output)
    approve = ApprovePaymentsOperator(
        task_id="approve",
        plan=load.output,
        subject="Pay {{ ti.xcom_pull(task_ids='load')['payroll_id'] }}?",
        body="{{ ti.xcom_pull(task_ids='load')['summary'] }}. "
        "{{ ti.xcom_pull(task_ids='screen', map_indexes=0)['summary'] }}.",
        retries=2,
        retry_delay=timedelta(seconds=5),
    )
    pay = agents(
        task_id="pay",
        agents=[PaymentAgent(chain=name) for name in CHAINS],
        task=load.output,
        gas_strategy="eco",
        retries=3,
        retry_delay=timedelta(seconds=15),
    )
    prove = AggregateWorkflowOperator(
        task_id="prove", outputs=[screen.output, pay.output], every_n_blocks=50
    )
    chain(load, screen, approve, pay, prove)


cross_chain_payroll()
