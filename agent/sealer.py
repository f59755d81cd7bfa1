"""When a batch is full, and its bytes from records, head and time (EDGE section 3).

Law: an urgent event never waits for a fuller batch.
"""
