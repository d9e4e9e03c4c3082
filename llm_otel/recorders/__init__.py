"""Where the facts of a call are written: span, Prometheus, tracker. One module, one destination."""
