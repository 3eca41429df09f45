"""Suites that are generated rather than written: `scewl generate`."""
