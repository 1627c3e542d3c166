"""What huggingface_hub raises where the Hub cannot be reached: errors of its HTTP client, which it does not wrap."""

import httpx2

CONNECTION_ERRORS = (httpx2.HTTPError, OSError)
