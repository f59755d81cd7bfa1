"""A unit's signed admission of what it holds (WIRE section 12)."""
