"""The collector's loops, in one TaskGroup: broker, ways in, ticks, receipts, API."""
