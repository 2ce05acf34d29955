"""What all workers of a projector process share."""
from dataclasses import dataclass, field

from services.projector.reader import PartitionReader
from services.projector.tenants import Tenants
from services.projector.turns import Turns
from services.runtime.log import Log


@dataclass(slots=True)
class Tools:
    """The log and its readers, and what holds for all work in the process."""

    dsn: str
    log: Log
    readers: dict[int, PartitionReader]
    tenants: Tenants
    live: bool = True
    """False while a version is built by a replay: it lets no time pass and wakes nobody, for it is not read."""
    until: dict[int, int] | None = None
    """While a replay compares: the offset of each partition that must not be folded yet."""
    turns: Turns = field(default_factory=Turns)
