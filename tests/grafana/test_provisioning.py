"""What Grafana is started with: data sources that know each other, and dashboards from files."""

from __future__ import annotations

import re

import yaml

from llm_otel import semconv
from tests.grafana.asked import ROOT

PROVISIONING = ROOT / "grafana" / "provisioning"
SOURCES = {
    each["uid"]: each
    for each in yaml.safe_load((PROVISIONING / "datasources" / "llm-otel.yml").read_text())["datasources"]
}


def test_a_dot_on_a_graph_opens_its_trace():
    """The label of the exemplars is the one that is recorded, and leads to a source that is there."""
    (destination,) = SOURCES["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]

    assert (semconv.EXEMPLAR_TRACE_ID, "tempo") == (destination["name"], destination["datasourceUid"])
    assert "tempo" == SOURCES["tempo"]["type"]


def test_a_trace_leads_back_to_metrics_that_exist():
    """Dollar signs are doubled: Grafana takes a single one for an environment variable."""
    links = SOURCES["tempo"]["jsonData"]["tracesToMetrics"]
    names = {spec.prometheus_name for spec in semconv.METRICS}

    assert links["datasourceUid"] in SOURCES
    for query in links["queries"]:
        assert set(re.findall(r"llm_otel_\w+", query["query"])) <= names
        assert "$" not in query["query"].replace("$$", "")


def test_there_is_one_default_source_and_nobody_edits_it():
    """The variable of the dashboards opens with the default one."""
    assert ["prometheus"] == [uid for uid, each in SOURCES.items() if each.get("isDefault")]
    assert {False} == {each["editable"] for each in SOURCES.values()}


def test_the_rate_interval_knows_how_often_is_scraped():
    """`$__rate_interval` is four of these: were it shorter than the real one, rates would have holes."""
    prometheus = yaml.safe_load((ROOT / "exporters/prometheus/prometheus.yml").read_text())

    assert prometheus["global"]["scrape_interval"] == SOURCES["prometheus"]["jsonData"]["timeInterval"]


def test_dashboards_come_from_files_that_count():
    """A change in the browser would be lost, so there is none."""
    provisioning = yaml.safe_load((PROVISIONING / "dashboards" / "llm-otel.yml").read_text())
    (provider,) = provisioning["providers"]

    assert ("file", False, True, "/var/lib/grafana/dashboards") == (
        provider["type"],
        provider["allowUiUpdates"],
        provider["disableDeletion"],
        provider["options"]["path"],
    )
