"""Cosigns checkpoints of a log that only grows. Not built yet: EVIDENCE.md is its paper."""
