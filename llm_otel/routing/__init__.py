"""Which model, and what when it fails: decisions as pure functions."""
