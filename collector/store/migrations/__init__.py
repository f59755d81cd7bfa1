"""How the tables came to be: one file a step, applied when a store is opened."""
