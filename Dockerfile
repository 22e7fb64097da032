# The wheel and its locked dependencies on an official Python image; see docs/deploy.md.
FROM python:3.11.13-slim-bookworm AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/opt/venv
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /src
# The dependencies first: they change less often than the code.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project --extra postgres --extra prover
COPY LICENSE README.md ./
COPY operators operators
COPY hooks hooks
COPY dags dags
COPY circuits circuits
COPY airflow_cwf airflow_cwf
RUN uv build --wheel --out-dir /dist \
    && uv pip install --python /opt/venv/bin/python --no-deps /dist/*.whl

FROM python:3.11.13-slim-bookworm
RUN groupadd --gid 50000 airflow \
    && useradd --uid 50000 --gid 50000 --home-dir /opt/airflow --shell /usr/sbin/nologin airflow \
    && install -d -o airflow -g airflow -m 0700 \
        /opt/airflow /opt/dags /var/log/airflow /var/lib/cwf /var/lib/cwf-artifacts
COPY --from=build /opt/venv /opt/venv
COPY deploy/entrypoint.sh deploy/health.py /opt/cwf/deploy/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    CWF_HOME=/var/lib/cwf
USER 50000:50000
# Into `home`, from which Docker fills the volume the first time.
RUN cwf prover install
WORKDIR /opt/airflow
ENTRYPOINT ["/bin/sh", "/opt/cwf/deploy/entrypoint.sh"]
CMD ["airflow", "version"]
