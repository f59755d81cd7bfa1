"""Start of the operator's command line."""
