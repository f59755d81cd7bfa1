"""Shapes and distances (DETECTION sections 4 and 5).

Law: knows no unit and no rule; topology is decided in integers.
"""
