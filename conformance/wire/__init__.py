"""What is on the wire: frames, records, handshake messages, their protection, and the certificates in them.

The judge's own parsers. They share nothing with `reference` and raise nothing on hostile bytes: what does not
parse comes back as a value that says so.
"""
