"""THE WITNESS: a GPS receiver and an e-seal made of software behind real ptys.

Law: imports nothing of ours; it writes its bytes by its own hand, so that agreement is a test.
"""
