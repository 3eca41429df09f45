"""The mutation matrix: wrong firmwares, built and judged, and which case catches each. `make mutants` runs it."""
