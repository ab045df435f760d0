"""Which layout servers in tests have: `pytest --layout ray` runs the same tests on the other one.

`single`: everything in one process. `ray`: a gateway in front of a worker, as `vivant serve --ray`
has them; in this process without Ray's own, and with Ray where the server is a process.
"""

from __future__ import annotations

from typing import Literal

Layout = Literal["single", "ray"]
chosen: Layout = "single"
