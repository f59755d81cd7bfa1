"""Orders of the centre: their bytes and the unit's judgement of them (WIRE section 14).

Law: whatever is not certainly ours, now and here, is refused with its name.
"""
