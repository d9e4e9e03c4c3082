"""Answers that are given again: the same request, for the same tenant, is paid for once."""
