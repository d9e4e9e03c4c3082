"""Budgets: windows, scopes, what a call may cost, and what a ledger is asked. Pure."""
