"""What time it is, and how well we know it (EDGE section 7).

Law: no sealed byte is ever changed; time is told anew by a `clock` event.
"""
