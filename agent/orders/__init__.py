"""May this be done here and now, and what became of it (EDGE section 6).

Law: in doubt the seal stays shut. An order is carried out at most once: its counter is committed before the act, and nothing is
ever repeated. Reads no clock, opens no file, writes to no port; the shell commits what a step asks for, and acts only then.
"""

from agent.orders.book import CLOSED, DOOR, NAMES, Acting, Book, Last, read_book
from agent.orders.contact import Contact, Keep, Turn
from agent.orders.means import Means, SealOrder, closed_of, means_of, wake_of
from agent.orders.steward import Steward
from agent.orders.words import LIFE, Ended, Event, Say, Scene, State, Step

__all__ = [
    "CLOSED",
    "DOOR",
    "LIFE",
    "NAMES",
    "Acting",
    "Book",
    "Contact",
    "Ended",
    "Event",
    "Keep",
    "Last",
    "Means",
    "Say",
    "Scene",
    "SealOrder",
    "State",
    "Step",
    "Steward",
    "Turn",
    "closed_of",
    "means_of",
    "read_book",
    "wake_of",
]
