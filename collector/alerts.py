"""An alert's life as a table (DETECTION section 9)."""
