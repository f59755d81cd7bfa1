"""A batch: made once, signed once, judged byte by byte (WIRE sections 4, 7 and 8).

Law: any bytes get a verdict; a batch is never cut, merged or encoded again.
"""
