"""Holding calls to their budgets: leave before each request, the bill after it, and what happens in between."""
