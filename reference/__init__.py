"""The reference implementation: a SED controller and an SSS in Python, sans-I/O, on python-mbedtls."""
