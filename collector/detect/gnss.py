"""The gate: which fixes may confirm anything (DETECTION section 6)."""
