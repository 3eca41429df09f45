"""A device in real time, at the other end of three byte streams: sockets or serial ports."""


def margin_ms(tolerance_ms: int, quiet_ms: int) -> int:
    """Milliseconds before a timer of a device within which it is left alone: it may fire early, or while it answers."""
    return 2 * tolerance_ms + quiet_ms
