"""Makes captures whose truth is known, benign and tunnelled, and fits the judges' unpublished parameters on them.

`patterns` says who sends how much when (browsing, downloads, video-like, chat-like), `channels` wraps that in layers
(plain, TLS of either version, an AEAD stream that looks like noise, TLS inside either), `service` and `visitor` are the
two ends as programs, `record` raises a world and captures them at the censor, and `fit` writes the models' files.
"""
