"""Foundations every other package stands on.

May live here: closed vocabularies (faults, settings), redaction, keys, signed objects, clocks, files.
May not live here: any import of another package of ours, any conversation beyond this machine, any printing.
"""
