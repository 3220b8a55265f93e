"""What every test starts from."""

from __future__ import annotations

import signal

# A shell that starts a job in the background has it ignore SIGINT, and children inherit that. Tests that interrupt a
# child would then wait for ever for its end.
signal.signal(signal.SIGINT, signal.default_int_handler)
