"""What ``itune doctor`` looks at, one module a subject. Each check gives findings and raises nothing."""
