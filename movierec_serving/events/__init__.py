"""What people did, and what they were shown: records, kept and read back.

The endpoint writes and reads, the pipeline collects. What is left out of a list because of an event
is `model/lately.py`'s; HTTP is `http/`'s.
"""

from movierec_serving.errors import EventStoreError as EventStoreError
from movierec_serving.events.event import Event as Event
from movierec_serving.events.event import KeptEvent as KeptEvent
from movierec_serving.events.opening import open_store as open_store
from movierec_serving.events.said import Said as Said
from movierec_serving.events.said import what_was_said as what_was_said
from movierec_serving.events.seen import SeenRating as SeenRating
from movierec_serving.events.store import EventStore as EventStore
from movierec_serving.events.types import TYPES as TYPES
from movierec_serving.events.types import EventType as EventType
from movierec_serving.events.types import read_types as read_types
