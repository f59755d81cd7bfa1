"""Holds the log's key: meets neither database nor foreign input. Not built yet: EVIDENCE.md is its paper."""
