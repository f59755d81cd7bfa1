"""The unit's settings: read once, checked, frozen, handed on as values (EDGE section 10)."""
