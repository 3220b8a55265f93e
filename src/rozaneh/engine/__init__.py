"""The Python face of the Rust engine.

May live here: the typed configuration document (``config``) and the thin typed wrapper (``engine``).
May not live here: decisions. What the engine should do is decided by ``client`` and ``edge``.
"""
