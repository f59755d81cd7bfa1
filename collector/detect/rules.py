"""One version of what is watched: thresholds, prepared zones and routes, journeys, orders."""
