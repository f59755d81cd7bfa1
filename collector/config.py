"""The collector's settings: read once, checked, frozen."""
