"""The SSS as a program that runs: sockets, clock, disk and log around the sans-I/O server of `reference.sss`."""
