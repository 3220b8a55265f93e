"""Rozaneh: blocked news stays readable, and the people who publish it stay reachable.

General layout (upper layers may import lower ones, never the other way round):

* ``cli``     one module a noun; ``cli.output`` is the only printer.
* ``client``  the reader's side: which way next, the local proxy, memory.
* ``edge``    the operator's side: accounts, certificate, cover, running.
* ``fleet``   what travels between people and edges: invites and rosters.
* ``ways``    the one-line grammar of a way, and the catalogue of transports.
* ``engine``  the typed Python face of the Rust engine that moves the bytes.
* ``core``    faults, settings, redaction, keys, signed objects, clock, files; imports nothing of ours.

Bytes live in Rust, decisions live here: no payload of a reader passes through this package.
"""

__version__ = "0.1.0"
