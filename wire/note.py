"""Signed notes: checkpoints of the log and their cosignatures (C2SP signed-note, tlog-cosignature).

Law: verifies text against pinned keys; fetches nothing. Not built yet: EVIDENCE.md is its paper.
"""
