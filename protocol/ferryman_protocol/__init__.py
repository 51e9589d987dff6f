"""The upload protocols without I/O: requests in, decisions out."""
