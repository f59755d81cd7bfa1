"""Not built yet: CUSTOMS.md is its paper. Law of the house: pure, and no room above it is known."""
