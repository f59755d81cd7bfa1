"""UHF RFID modules of the M100 family (DEVICES section 5).

Law: no tag is written, locked or killed. Not built yet.
"""
