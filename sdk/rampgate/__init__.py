"""Rampgate's SDK: feature gates evaluated in the process that asks.

Importing it must stay cheap: sources and integrations that need more than the standard library's basics are imported when they are used.
"""

from rampgate.decision import Decision, Reason
from rampgate.gates import Gates

__version__ = "0.1.0"
__all__ = ["Decision", "Gates", "Reason", "__version__"]
