"""Jointech JT701 and JT701D locks: binary and text frames (DEVICES section 4.2)."""
