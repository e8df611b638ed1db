"""The verbs of the house: the only place where tables and engines meet."""
