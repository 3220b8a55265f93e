"""The command line: one module a noun.

``main`` knows every noun and loads its module only when it is called; ``output`` is the only place of the whole
program that prints; ``options`` turns settings into flags. Decisions belong to the packages below: a command reads
its flags, calls one function and shows what came back.
"""
