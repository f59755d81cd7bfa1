"""The log as tiles of hashes. Not built yet: EVIDENCE.md is its paper."""
