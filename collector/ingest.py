"""What a message is worth: signature, bounds, place in the chain (WIRE sections 8 and 9).

Law: any bytes get exactly one verdict, and order of arrival changes nothing.
"""
