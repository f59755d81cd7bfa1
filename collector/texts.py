"""Sentences from codes, in uz, ru and en. Not built yet: CONSOLE.md is its paper."""
