"""The documentation is true: its code runs, its names exist, its links lead somewhere."""

import re
from pathlib import Path

import pytest

from llm_otel import semconv
from llm_otel.demo.simulator import Simulator

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def _name(page):
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def providers(monkeypatch):
    """A simulator in the place of every provider: the pages need nothing but an address in the environment."""
    with Simulator() as simulator:
        for name, value in simulator.env(with_keys=True).items():
            monkeypatch.setenv(name, value)
        yield simulator


@pytest.fixture
def metrics_servers(monkeypatch):
    """Pages that start a metrics server get one on a free port, closed at the end."""
    import prometheus_client

    started = []

    def start_http_server(_port, **kwargs):
        server, thread = prometheus_client.exposition.start_wsgi_server(0, addr="127.0.0.1", **kwargs)
        started.append((server, thread))
        return server, thread

    monkeypatch.setattr(prometheus_client, "start_http_server", start_http_server)
    yield
    for server, thread in started:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.wire
@pytest.mark.usefixtures("providers", "metrics_servers", "fresh_library")
@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_the_code_of_a_page_runs_from_top_to_bottom(page):
    """The blocks of a page build on each other, as a reader would paste them."""
    code = "\n".join(_BLOCK.findall(page.read_text()))
    exec(compile(code, str(page), "exec"), {"__name__": "__docs__"})


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_between_pages_lead_to_files(page):
    """A relative link names a file of the repository."""
    links = _LINK.findall(page.read_text())
    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_every_metric_is_documented():
    """docs/metrics.md names what the recorder writes, and nothing else."""
    page = (ROOT / "docs/metrics.md").read_text()
    named = set(re.findall(r"^\| `(llm_otel_\w+)`", page, re.MULTILINE))
    assert {metric.prometheus_name for metric in semconv.METRICS} == named


def test_every_span_attribute_is_documented():
    """docs/spans.md names every attribute that the library can set."""
    page = (ROOT / "docs/spans.md").read_text()
    attributes = {
        value
        for name, value in vars(semconv).items()
        if name.isupper() and isinstance(value, str) and re.match(r"(gen_ai|llm_otel|openai|server|http)\.", value)
    }
    attributes.discard(semconv.TAG_PREFIX)
    assert set() == {attribute for attribute in attributes if f"`{attribute}`" not in page}
