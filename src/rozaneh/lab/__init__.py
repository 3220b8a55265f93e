"""The censor lab: networks with a censor in the middle, raised in throwaway namespaces, with real programs at the ends.

General layout:

* ``worlds``, ``scenarios``  data: who is connected to whom; who blocks what and what must come of it.
* ``isolate``, ``linux``     throwaway namespaces, with and without root; everything in them ends with its maker.
* ``world``, ``nodes``, ``routes``, ``processes``  a world raised from its data, and programs run in it.
* ``router``, ``middlebox``, ``chain``, ``flows``  the userspace router, and the censors' turn at a packet.
* ``packet``, ``pcap``, ``dnsmessage``, ``tlshello``, ``streams``, ``residual``  what censors are made of.
* ``api``, ``censors``       what a censor is written with; the ones that come along, one a file.
* ``services``, ``browser``  real nginx and a resolver on the world's internet; Chromium driven by its own protocol.
* ``runner``, ``demo``       opening pages as a reader would and judging what came of it.

Python on purpose, and Linux only; nothing of the product imports it.
"""
