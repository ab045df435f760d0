"""A portrait in a Pipecat pipeline: `AvatarVideoService`, to be put between voice and transport.

    pip install 'vivant[pipecat]'

docs/pipecat.md shows a bot. Nothing else of Vivant imports this package.
"""

try:
    import pipecat  # noqa: F401 - told apart from what is missing inside it
except ModuleNotFoundError as error:
    raise ImportError("Pipecat is not installed: pip install 'vivant[pipecat]'.") from error

from vivant_client.pipecat.service import AvatarVideoService
from vivant_client.pipecat.settings import AvatarVideoSettings

__all__ = ["AvatarVideoService", "AvatarVideoSettings"]
