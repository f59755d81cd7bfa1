"""Progress along the prescribed route, and departures from it (DETECTION section 7.2)."""
