"""The report of model checking: what was asked, what the engines found, and how people read it."""
