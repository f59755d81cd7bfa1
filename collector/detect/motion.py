"""Standing still (DETECTION section 6); stops, speed and separation come with section 7.3."""
