"""The algorithms: one module, one class and one entry point each. Their losses are functions of `losses`."""
