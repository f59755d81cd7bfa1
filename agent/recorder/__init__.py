"""Which facts become records, and how urgent they are (EDGE section 2).

Law: a fix that is not kept lies within the promised distance of the line between its kept neighbours.
"""
