"""`llm-otel rules export`: rules for Prometheus and for its operator."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from llm_otel.cli.rules import prometheus_rule

SOURCE = Path(__file__).parents[2] / "exporters" / "prometheus" / "rules"
FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted(SOURCE.glob("*.yml"))}


def test_rules_are_written_as_they_are(run, tmp_path):
    """For `rule_files` of Prometheus; the names of the files go to whoever pipes them on."""
    done = run("rules", "export", str(tmp_path / "new"))

    assert 0 == done.exit_code
    assert FILES == {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir()}
    assert [str(tmp_path / "new" / name) for name in FILES] == done.stdout.splitlines()


def test_links_lead_to_ones_own_places(run, tmp_path):
    """Where Grafana is, and where the runbook is to be read; nothing else changes."""
    run("rules", "export", str(tmp_path), "--grafana-url", "https://g.test/", "--runbook-url", "https://w.test/llm")

    written = (tmp_path / "spend.yml").read_text(encoding="utf-8")
    assert "runbook_url: https://w.test/llm#llmspendspike\n" in written
    assert "dashboard_url: https://g.test/d/llm-otel-spend?var-service={{ urlquery $labels.job }}\n" in written
    assert not {"localhost", "github.com"} & set(written.replace("/", " ").replace(":", " ").split())


@pytest.mark.parametrize("name", FILES)
def test_an_operator_gets_the_same_rules_as_a_resource_of_kubernetes(run, tmp_path, name):
    """One PrometheusRule for each file, with the labels that it is selected by."""
    run("rules", "export", str(tmp_path), "--format", "prometheusrule", "--label", "release=stack", "--label", "a=1")

    assert {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": f"llm-otel-{name.removesuffix('.yml')}", "labels": {"release": "stack", "a": "1"}},
        "spec": yaml.safe_load(FILES[name]),
    } == yaml.safe_load((tmp_path / name).read_text(encoding="utf-8"))


def test_a_wrapped_file_keeps_its_blocks():
    """Text that goes on over lines means the same one level deeper."""
    text = 'groups:\n  - name: a\n    rules:\n      - expr: |\n          x\n            + "y"\n\n          # why\n'

    assert yaml.safe_load(text) == yaml.safe_load(prometheus_rule("a.yml", text))["spec"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--grafana-url", "grafana"), "--grafana-url='grafana' is not usable: an address that begins with http://"),
        (("--runbook-url", "https://w.test/{{ x }}"), "--runbook-url='https://w.test/{{ x }}' is not usable"),
        (("--format", "prometheusrule", "--label", "release"), "--label='release' is not usable: key=value"),
        (("--label", "release=stack"), "--label='release=stack' is not usable: used with --format prometheusrule"),
    ],
)
def test_what_cannot_be_used_is_refused(run, tmp_path, options, message):
    """Nothing is written then."""
    done = run("rules", "export", str(tmp_path / "new"), *options)

    assert 2 == done.exit_code
    assert message in done.stderr
    assert not (tmp_path / "new").exists()


def test_rules_that_were_edited_are_not_overwritten(run, tmp_path):
    """Thresholds are meant to be edited; `--force` says that the new ones are wanted."""
    run("rules", "export", str(tmp_path))
    (tmp_path / "spend.yml").write_text("groups: []\n", encoding="utf-8")

    assert 2 == run("rules", "export", str(tmp_path)).exit_code
    assert "groups: []\n" == (tmp_path / "spend.yml").read_text(encoding="utf-8")
    assert 0 == run("rules", "export", str(tmp_path), "--force").exit_code
    assert FILES["spend.yml"] == (tmp_path / "spend.yml").read_text(encoding="utf-8")
