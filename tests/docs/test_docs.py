"""The documentation is true: its code runs, its names exist, its links lead somewhere."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from llm_otel import Budget, configure, semconv
from llm_otel.config import Settings
from llm_otel.demo.simulator import Simulator
from llm_otel.stores.opening import open_store

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^```toml\n# ([\w.-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
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
def workplace(tmp_path, monkeypatch):
    """A directory of its own, with a home for what the library keeps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def ledgers(monkeypatch):
    """Ledgers that pages open are closed at the end: a page may have several, a program has one until it ends."""
    import llm_otel.assembly

    opened = []

    def open_and_note(url, **kwargs):
        opened.append(open_store(url, **kwargs))
        return opened[-1]

    monkeypatch.setattr(llm_otel.assembly, "open_store", open_and_note)
    yield
    for store in opened:
        store.close()


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
@pytest.mark.usefixtures("providers", "metrics_servers", "ledgers", "fresh_library")
@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, workplace):
    """The blocks of a page build on each other, as a reader would paste them; TOML with a name is a file."""
    for name, text in _FILE.findall(page.read_text()):
        (workplace / name).write_text(text)
    code = "\n".join(_BLOCK.findall(page.read_text()))
    exec(compile(code, str(page), "exec"), {"__name__": "__docs__"})


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_between_pages_lead_to_files(page):
    """A relative link names a file of the repository."""
    links = _LINK.findall(page.read_text())
    assert [] == [link for link in links if not (page.parent / link).exists()]


def _anchors(page):
    """Return what the headings of a page are called in links, as GitHub makes it of them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_into_pages_lead_to_headings(page):
    """What is renamed takes its links along."""
    links = re.findall(r"\]\((?!https?://)([^)#\s]*)#([^)]+)\)", page.read_text())
    assert [] == [
        (name, anchor) for name, anchor in links if anchor not in _anchors(page.parent / name if name else page)
    ]


def test_every_setting_is_documented():
    """docs/configuration.md has a row for each argument of `configure()`, and its variable where it has one."""
    page = (ROOT / "docs/configuration.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|(?: `LLM_OTEL_(\w+)`)? \|", page, re.MULTILINE)
    variables = {name for name, variable in rows if variable == name.upper()}
    assert set(inspect.signature(configure).parameters) == {name for name, _ in rows}
    assert {*Settings.model_fields, "config_file"} == variables


def test_every_field_of_a_budget_is_documented():
    """docs/budgets.md has a row for each, with its default."""
    page = (ROOT / "docs/budgets.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (?:`(.*?)`)? ?\| .+ \|$", page.partition("## All fields")[2], re.MULTILINE))
    given = {each.name: each.default for each in dataclasses.fields(Budget) if each.init}
    assert {name: "" if default is dataclasses.MISSING else default for name, default in given.items()} == {
        name: default and ast.literal_eval(default) for name, default in rows.items()
    }


def test_every_metric_is_documented():
    """docs/metrics.md names what the recorder writes, and nothing else."""
    page = (ROOT / "docs/metrics.md").read_text()
    named = set(re.findall(r"^\| `(llm_otel_\w+)`", page, re.MULTILINE))
    assert {metric.prometheus_name for metric in semconv.METRICS} == named


def test_every_metric_of_the_conventions_is_documented():
    """docs/metrics.md has a row for each, in both generations, and names the attributes that only metrics have."""
    page = (ROOT / "docs/metrics.md").read_text()
    latest, _, legacy = page.partition("### Backends that read older names")
    for part, specs in ((latest, semconv.LATEST_GENAI_METRICS), (legacy, semconv.LEGACY_GENAI_METRICS)):
        assert {spec.name for spec in specs} == set(re.findall(r"^\| `(gen_ai\.[\w.]+)`", part, re.MULTILINE))
    assert all(f"`{name}`" in page for name in (semconv.GEN_AI_TOKEN_MODALITY, semconv.GEN_AI_TOKEN_TYPE))


def test_every_span_attribute_is_documented():
    """docs/spans.md names every attribute that the library can set."""
    page = (ROOT / "docs/spans.md").read_text()
    attributes = {
        value
        for name, value in vars(semconv).items()
        if name.isupper() and isinstance(value, str) and re.match(r"(gen_ai|llm_otel|openai|server|http)\.", value)
    }
    attributes -= {semconv.TAG_PREFIX, semconv.GEN_AI_TOKEN_MODALITY, semconv.GEN_AI_TOKEN_TYPE}
    assert set() == {attribute for attribute in attributes if f"`{attribute}`" not in page}
