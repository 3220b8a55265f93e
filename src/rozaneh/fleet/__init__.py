"""What travels between people and edges.

May live here: invites (carried by people) and rosters (signed, carried by anything).
May not live here: who may use an edge (``edge.accounts``) or which way to take (``client``).
"""
