"""Lines of the LLRP child as tag reads (DEVICES section 6).

Law: imports no LLRP library. Not built yet.
"""
