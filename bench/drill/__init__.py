"""The oracle of durability (EDGE section 12): real programs are killed, and what was promised must be there.

A device of our own on ptys is told by the unit what it has stored (P69): from then on that record is owed. Law: the oracle believes
no counter of the programs under test, only the acknowledgements on the serial line and the bytes in the collector's store.
"""
