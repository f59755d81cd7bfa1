"""The demo: three simulated trucks, broker and collector as real processes, and an account of what happened.

Law: it starts the programs that an operator would start and believes the files that they leave.
"""
