"""What the data plane costs, beside other programs, in one run and under the same load.

::

    run         the whole: tools, cubic, a namespace without a route, rounds, report
    subjects    who is measured: each is a client and an edge, two processes of their own
    cases       what is measured of a subject that runs
    inside      the part that runs in the namespace
    subject     the process that holds one engine of ours
    generator   the load generator and target, a program in Rust
    peers       where the other programs come from; never a dependency of the product
    cubic       one congestion control for everybody, and the host left as it was
    procfs      CPU time and memory of a process
    figures     medians, ratios, and which required ratios were met
    report      the JSON document and the table

Nothing here prints, and nothing is measured over a real network.
"""
