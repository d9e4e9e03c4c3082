"""The resource of the providers that are set up here: what all telemetry says about the process it is from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from opentelemetry.sdk.resources import Resource

from llm_otel import semconv
from llm_otel.forks import when_forked


def resource_of(named: Mapping[str, str]) -> Resource:
    """Return `named`, over what the SDK's detectors find (the variables `OTEL_RESOURCE_ATTRIBUTES` and others)."""
    found = Resource.create(dict(named))
    return ResourceOfProcess(found.attributes, found.schema_url)


class ResourceOfProcess(Resource):
    """A resource whose `service.instance.id` is another one in a forked child.

    Two processes under one id write the same series, and their counters jump to and fro. Newer releases of the SDK see
    to it themselves (1.45 does, 1.41 does not); they find an id of this process here, and put theirs in its place.
    """

    def __init__(
        self,
        attributes: Mapping[str, Any],
        schema_url: str | None = None,
        *,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        given = attributes.get(semconv.SERVICE_INSTANCE_ID)
        self._of_process = {**attributes, semconv.SERVICE_INSTANCE_ID: given or new_id()}
        super().__init__(self._of_process, schema_url)
        self._new_id = new_id
        when_forked(self._in_child)

    def _in_child(self) -> None:
        self._of_process = {**self._of_process, semconv.SERVICE_INSTANCE_ID: self._new_id()}

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes, of this process."""
        return self._of_process
