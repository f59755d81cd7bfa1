"""The exit codes of the house (STYLE section 5): scripts may rely on them."""

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
NOT_ALLOWED = 4
UNREACHABLE = 5
BAD = 6  # the thing that was checked is bad
