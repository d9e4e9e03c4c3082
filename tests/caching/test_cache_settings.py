"""The cache's settings, and the one cache of a runtime."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry

from llm_otel import semconv, steps
from llm_otel.assembly import Runtime
from llm_otel.caching.key import TENANT_TAGS
from llm_otel.config import Settings, load_settings
from llm_otel.errors import ConfigurationError
from tests.caching.answers import entry


def test_the_defaults():
    """In this process; three tags keep tenants apart."""
    settings = load_settings({})

    assert ("memory://", ("tenant", "customer", "user")) == (settings.response_cache, settings.cache_tenant_tags)
    assert TENANT_TAGS == settings.cache_tenant_tags


def test_the_environment(monkeypatch):
    """Names with commas between."""
    monkeypatch.setenv("LLM_OTEL_RESPONSE_CACHE", "redis://cache:6379/1")
    monkeypatch.setenv("LLM_OTEL_CACHE_TENANT_TAGS", "tenant, region")
    settings = load_settings({})

    assert ("redis://cache:6379/1", ("tenant", "region")) == (settings.response_cache, settings.cache_tenant_tags)


def test_a_file(tmp_path):
    """As every setting."""
    path = tmp_path / "llm-otel.toml"
    path.write_text('response_cache = "redis://cache"\ncache_tenant_tags = []\n', encoding="utf-8")
    settings = load_settings({}, path)

    assert ("redis://cache", ()) == (settings.response_cache, settings.cache_tenant_tags)


def test_an_address_is_not_shown():
    """It may hold a password."""
    assert "secret" not in repr(Settings(response_cache="redis://me:secret@cache"))
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"response_cache": ["redis://me:secret@cache"]})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("wrong", [[1], 7, [""], {"tenant": 1.5}, [["tenant"]], '["tenant"]', "['tenant']"])
def test_tags_have_names(wrong):
    """The error says which setting, and what is allowed."""
    with pytest.raises(ConfigurationError, match=r"^cache_tenant_tags=.*names of tags"):
        load_settings({"cache_tenant_tags": wrong})


def test_a_runtime_makes_one_cache_when_it_is_asked():
    """Nobody pays for what nobody uses."""
    runtime = Runtime(Settings(), registry=CollectorRegistry())
    assert None is runtime._response_cache

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: runtime.response_cache, range(50)))

    assert 1 == len(set(map(id, made)))
    made[0].keep("k", entry(created_at_ms=10**15), 60)
    assert entry(created_at_ms=10**15) == steps.run(runtime.response_cache.recall("k", ttl_s=60, left_s=None)).entry


def test_a_cache_that_others_share_is_made_at_once():
    """It is looked at, and connected to when it is needed."""
    runtime = Runtime(Settings(response_cache="redis://127.0.0.1:1"), registry=CollectorRegistry())

    assert runtime._response_cache is runtime.response_cache
    assert "redis" in sys.modules


def test_failures_are_counted_as_the_caches():
    """From 0 on, like those of any part."""
    registry = CollectorRegistry()
    runtime = Runtime(Settings(), registry=registry)

    def count():
        labels = {semconv.LABEL_RECORDER: "cache"}
        return registry.get_sample_value(semconv.INTERNAL_ERRORS.prometheus_name, labels)

    assert 0 == count()
    runtime.response_cache._guard.failed("cache", ValueError())
    assert 1 == count()
