"""The executable model of DTLS-over-SCEWL. Pure: no I/O, no clock, no cryptography."""
