"""What every test starts from."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# A shell that starts a job in the background has it ignore SIGINT, and children inherit that. Tests that interrupt a
# child would then wait for ever for its end.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("rozaneh", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rozaneh")
