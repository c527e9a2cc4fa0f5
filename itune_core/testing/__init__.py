"""What plugin authors test with."""

from itune_core.testing.context import BenchContext

__all__ = ["BenchContext"]
