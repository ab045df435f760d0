"""Cost, punctuality and quality, measured; prints tables and needs nothing but the package."""
