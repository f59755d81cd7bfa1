"""May this be done here and now, and what became of it (EDGE section 6).

Law: in doubt the seal stays shut. An order is carried out at most once: its counter is committed before the act, and nothing is
ever repeated. Reads no clock, opens no file, writes to no port; the shell commits what a step asks for, and acts only then.
"""

FIRST_CONTACT_PROTOCOL = "jt701"  # of the locks that a unit can set up (`contact`)
