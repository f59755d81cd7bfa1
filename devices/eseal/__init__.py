"""The eSeal CT-C: one line of ASCII a message, between `##S,` and `,E##` (DEVICES section 4.3).

Law: there is no checksum, so the number of fields and both marks must fit, and a field that cannot be read refuses the message.

`message` says what one message means, `framing` cuts bytes into messages, `facts` turns them into facts, `reader` joins them and
says our orders.
"""

from devices.eseal.framing import Framer
from devices.eseal.reader import EsealReader, Order, PowerOff, RemoteUnlock

__all__ = ["EsealReader", "Framer", "Order", "PowerOff", "RemoteUnlock"]
