"""What to send, and when (EDGE section 5). Decides; never sends, reads no clock, opens no batch.

Law: a batch leaves the outbox for one reason only: the collector's receipt.
"""
