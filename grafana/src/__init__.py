"""The dashboards as code: plain functions that return Grafana's classic v1 JSON (`schemaVersion` 42).

A dashboard has a module; it says which panels stand where, and what for. `queries` says what is asked of Prometheus:
no panel holds PromQL, and no query holds the name of a metric. `python -m grafana.src` writes `grafana/dashboards`.
"""
