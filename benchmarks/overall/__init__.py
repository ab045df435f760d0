"""One report of what everything costs: `make bench`, and the check against committed figures."""
