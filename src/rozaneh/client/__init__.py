"""The reader's side: from an invite to a local proxy that works, and stays working.

General layout of a reader's directory ``D`` (0700, files 0600)::

    invite         the link that was accepted, once an edge has known it
    state.json     highest roster seen, the roster, the local port, the way that worked last
    lock control   one process a directory, and the socket to talk to it

May live here: ``connector`` (sans-IO: which way next) ``memory`` ``localproxy`` ``upstreams`` ``runtime`` ``once``
``diagnose`` ``wipe``.
May not live here: anything that prints, and anything that logs where a reader goes.
"""
