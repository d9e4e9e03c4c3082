"""The edge to LiteLLM: how a request is made, and what its answers, streams and errors say."""
