"""News that is read without a network: bundles, and what carries them.

May live here: fetching and extracting articles, the signed bundle, its reader pages, carriers.
May not live here: ways out (``ways``, ``client``) and anything that prints (``cli``).
"""
