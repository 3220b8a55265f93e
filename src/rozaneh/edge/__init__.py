"""The operator's side: one directory is one edge.

General layout of an edge's directory ``D`` (0700, files 0600)::

    edge.toml          what the operator chose (core.settings, section "edge")
    issuer.key         the Ed25519 key that signs rosters; invites carry its public half
    cert.pem key.pem   the certificate the edge made for itself, unless files were named
    edge.sqlite3       accounts, roster numbers, counters (WAL, synchronous=FULL)
    lock control       one process a directory, and the socket to talk to it

May live here: ``layout`` ``init`` ``database`` ``accounts`` ``journal`` ``rosters`` ``certs`` ``cover`` ``runtime``.
May not live here: anything that prints, and anything that sees a reader's destination or address.
"""
