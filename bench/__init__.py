"""The load that proves the numbers, as ratios against a baseline in the same run."""
