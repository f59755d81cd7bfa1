"""Where batches come in and receipts go out: jetstream, mqtt, clock.

Law: acknowledges a message only after the commit; decides nothing.
"""
