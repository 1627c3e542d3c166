"""Errors of huggingface_hub where the Hub cannot be reached.

They are those of its HTTP client, which it does not wrap.
"""

import httpx2

CONNECTION_ERRORS = (httpx2.HTTPError, OSError)
