"""What the seal's reports mean, judged by order, place, time and card (DETECTION section 7.4)."""
