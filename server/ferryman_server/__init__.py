"""The upload server: an ASGI application, its stores and state, and `ferryman serve`."""
