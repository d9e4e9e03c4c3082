"""The environment of the demo, and the noise of others. Both are put back as they were."""

from __future__ import annotations

import gc
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_NOISY = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "asyncio", "httpx", "aiohttp", "llm_otel")
"""Loggers: LiteLLM logs each failed call with a traceback, asyncio sessions that LiteLLM leaves open. The
library's own warnings (a price that is not known) stand in the report."""

_LOOPBACK = "127.0.0.1,localhost"


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def without_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep calls to this machine from going through a proxy."""
    return {name: ",".join(filter(None, (environ.get(name), _LOOPBACK))) for name in ("NO_PROXY", "no_proxy")}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep log lines and warnings of others from the terminal."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            finally:
                # What LiteLLM left unclosed or unawaited complains when it is collected: now, unheard.
                gc.collect()
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
