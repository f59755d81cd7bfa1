"""A tick: screen columns, step the rows that matter (DETECTION section 2).

Law: screening never hides a finding.
"""
