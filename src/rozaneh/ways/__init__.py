"""Ways: what may be dialled, written as one line.

May live here: the grammar and the catalogue of transports.
May not live here: which way to take (``client``) or who may use it (``edge``).
"""
