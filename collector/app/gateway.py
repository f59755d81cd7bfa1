"""The gateway as the collector's program has it: its key, its shelf, its way to the intake.

Law: made only where `gateway.listen` is set. Its key is enrolled by hand, as any unit's.
"""

from functools import partial

from collector.app.intake import Intake
from collector.app.keys import Keys, gateway_key
from collector.config import Config
from collector.gateway import Identity
from collector.io.gateway_store import GatewayStore
from collector.io.seal_gateway import SealGateway

SHELF = "gateway.db"


def gateway_of(config: Config, keys: Keys, intake: Intake) -> SealGateway | None:
    """The gateway, and `intake` knows it; None where it is off. Raises KeyFileError."""
    if not config.gateway.listen:
        return None
    own = gateway_key(config)
    identity = Identity(
        unit_id=own.unit_id,
        public_key=own.key.public_key,
        kid=own.key.kid,
        sign=own.key.sign,
    )
    shelf = partial(GatewayStore, config.data_dir / SHELF, own.unit_id, own.key.kid)
    gateway = SealGateway(
        config.gateway,
        identity,
        shelf,
        receipt_keys={keys.receipt.kid: keys.receipt.public_key},
        order_keys={keys.order.kid: keys.order.public_key},
        hand=intake.hand_in,
    )
    intake.local = gateway.hear
    return gateway
