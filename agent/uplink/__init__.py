"""What to send, and when (EDGE section 5). Decides; never sends, reads no clock, opens no batch.

Law: a batch leaves the outbox for one reason only: the collector's receipt. `words` is the vocabulary, `core` the life of the
line, `sending` what goes next, `queue` what waits, `flights` what is out, `early` the lane of the alarms; `rungs`, `bucket`, `pace` and
`poison` are what their names say.
"""
