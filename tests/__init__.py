"""The tests, laid out as the package is."""

from hypothesis import settings

# The same examples everywhere and every time; no deadline, because a busy machine is not a mistake.
settings.register_profile("rozaneh", deadline=None, derandomize=True, database=None)
settings.load_profile("rozaneh")
