"""The censor lab: networks with a censor in the middle, raised in throwaway namespaces, with real programs at the ends.

General layout:

* ``worlds``, ``profiles``, ``subjects``, ``scenarios``  data: who is connected to whom; what a censor does, number by
  number with source and grade; the tools it meets; single experiments.
* ``isolate``, ``linux``     throwaway namespaces, with and without root; everything in them ends with its maker.
* ``world``, ``nodes``, ``routes``, ``processes``  a world raised from its data, and programs run in it.
* ``router``, ``ports``, ``links``, ``middlebox``  the userspace router, the lines behind it, and the lab's hold on it.
* ``chain``, ``rules``, ``flows``, ``fragments``, ``clock``, ``probing``  the censors' turn at a packet, and its gates.
* ``offline``, ``replay``, ``craft``, ``speed``  a chain without sockets, over a capture, with made packets, measured.
* ``packet``, ``pcap``, ``codec``, ``tcb``, ``reassembly``, ``watch``, ``strikes``, ``residual``  censors' parts, as are
  ``tcpfilter``, ``tspu``, ``resets``, ``windows``, ``bucket``, ``exempt``, ``names``, ``nullroutes``.
* ``api``, ``censors``       what a censor is written with; the ones that come along, one a file.
* ``cells``, ``trials``, ``verdict``, ``matrix``, ``report``  one profile and one subject; all of them; the page.
* ``verify``                 the lab held against what its sources measured, before anything is tested in it.
* ``judges``, ``prober``, ``corpus``  classifiers that read captures; active probes; the flows they were fitted on.
* ``services``, ``browser``  real nginx and a resolver on the world's internet; Chromium driven by its own protocol.
* ``runner``, ``demo``       opening pages as a reader would and judging what came of it.

Python on purpose, and Linux only; nothing of the product imports it.
"""
