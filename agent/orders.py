"""May this be done here and now, and what became of it (EDGE section 6).

Law: in doubt the seal stays shut. Not built yet: until then every order is refused and told.
"""
