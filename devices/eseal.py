"""The eSeal CT-C, in ASCII (DEVICES section 4.3)."""
