"""From bytes to the model's alphabet, both ways: what a controller was told, and what it did.

Structure and cryptography decide what a record is, never the word of the sender: a record of epoch 1 counts only if it
authenticates under the key log, a certificate only by its signature and name.
"""

from conformance.abstraction.abstraction import Abstraction
from conformance.abstraction.session import Identity

__all__ = ["Abstraction", "Identity"]
