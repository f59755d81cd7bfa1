"""Puts leaves into the log, in order, once. Not built yet: EVIDENCE.md is its paper."""
