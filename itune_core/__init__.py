"""itune: instruction tuning and alignment as a chain of pip-installable stages.

Plugin authors import :mod:`itune_core.api`; nothing else in this package is public.
"""

__version__ = "0.1.0"
