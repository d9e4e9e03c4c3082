# The demo service of docker-compose.yml: the library with what it needs, from hashed locks, and nothing to build with.
FROM python:3.13.11-slim AS build

WORKDIR /src
COPY requirements/image.txt requirements/
RUN python -m venv /opt/llm-otel \
    && /opt/llm-otel/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
        -r requirements/image.txt
COPY pyproject.toml README.md LICENSE ./
COPY llm_otel llm_otel
COPY grafana/dashboards grafana/dashboards
COPY exporters exporters
RUN /opt/llm-otel/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/llm-otel/bin/pip uninstall --yes hatchling pip

FROM python:3.13.11-slim
COPY --from=build /opt/llm-otel /opt/llm-otel
ENV PATH=/opt/llm-otel/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
ENTRYPOINT ["llm-otel"]
CMD ["demo", "--serve", "--host", "0.0.0.0"]
