"""A DTLS 1.2 peer that can say anything, in any order, with right cryptography around it.

What it deviates from an honest peer in is data, a `Script`; `docs/scripted-peer.md` describes the format for people.
"""
