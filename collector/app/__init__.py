"""The collector's loops, in one TaskGroup: broker, ways in, ticks, receipts, API.

Law: any process may be killed at any statement. What was acknowledged is committed; what is not committed comes again.
"""

__all__ = ["StartError"]


class StartError(Exception):
    """The collector cannot start; the sentence says what an operator can do about it."""
