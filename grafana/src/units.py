"""Grafana's names for units (packages/grafana-data/src/valueFormats of grafana/grafana, read 2026-11)."""

from __future__ import annotations

from typing import Final

USD: Final = "currencyUSD"
RATIO: Final = "percentunit"
"""0 to 1, shown as percent."""
SECONDS: Final = "s"
"""Scaled to what can be read: `1.8 s`, `3.2 hours`, `1.1 weeks`."""
COUNT: Final = "locale"
"""With thousands set apart: `1,220`."""
WHOLE: Final = "none"
PER_SECOND: Final = "reqps"
TOKENS_PER_SECOND: Final = "si:tok/s"
TIMES: Final = "suffix:×"
TEXT: Final = "string"
