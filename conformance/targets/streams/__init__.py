"""A device in real time, at the other end of three byte streams: sockets or serial ports."""
