"""From a stage and a name to a distribution that an author fills in: the work of ``itune plugins new``."""
