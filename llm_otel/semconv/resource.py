"""Names of what a resource says about the process that telemetry comes from.

They follow open-telemetry/semantic-conventions 1.42 (2026-10), all of them stable.
"""

from __future__ import annotations

SERVICE_NAME = "service.name"
SERVICE_INSTANCE_ID = "service.instance.id"
DEPLOYMENT_ENVIRONMENT_NAME = "deployment.environment.name"
"""Since 1.27; `deployment.environment` before. Only this one is said: of two names every query needs both."""
