"""BoringSSL's own test runner against our TLS engine: fetched, built, run, and its answers read.

The runner is a TLS peer that breaks one rule in each of its tests and knows what must come of it. What of it does not
apply to an engine of TLS 1.3 alone stands in ``expected.json``, with the reason.
"""
