"""How near the detectors come to the truth of real tracks, beside the rules of peers on the same rows (DETECTION section 11)."""
