"""The unit: serial bytes in, signed batches out; keeps what it saw until the collector's receipt.

Law: nothing is sent, acted on or acknowledged to a device before it is committed.
"""

TYPE_CHECKING = False  # `--help` waits for `typing` 3 ms, for `words` another 12 (decision 0046)
__all__ = ["Boot", "Identity", "Kept", "Moment", "Quality", "StoredBatch", "Weight"]

if TYPE_CHECKING:
    from agent.words import Boot, Identity, Kept, Moment, Quality, StoredBatch, Weight
else:

    def __getattr__(name: str) -> object:
        """The words that the rooms share, made when the first of them is asked for."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from agent import words  # noqa: PLC0415  # see above

        return getattr(words, name)
