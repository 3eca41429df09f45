"""Conformance: purposes in, verdicts out."""
