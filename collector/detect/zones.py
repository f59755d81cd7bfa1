"""Entered, left, passed, perhaps visited (DETECTION section 7.1)."""
