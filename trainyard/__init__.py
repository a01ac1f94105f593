"""The client library and the command line."""

from trainyard.client import Client
from trainyard.following import Event
from trainyard.problem import Fault, TrainyardProblem

__all__ = ["Client", "Event", "Fault", "TrainyardProblem"]
