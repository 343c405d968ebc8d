"""What an operator may set, from the command line, the environment and one TOML file, in this order.

A fault in any of them refuses the command before it begins, and all faults are told at once.
"""

from batchcredit.engine.limiter import Rate
from batchcredit.settings.loading import Limits, Settings, load
from batchcredit.settings.profile import Profile, default_profile, lowered, with_sandbox
from batchcredit.settings.values import duration_s, latency_s, rate, timezone

__all__ = [
    "Limits",
    "Profile",
    "Rate",
    "Settings",
    "default_profile",
    "duration_s",
    "latency_s",
    "load",
    "lowered",
    "rate",
    "timezone",
    "with_sandbox",
]
