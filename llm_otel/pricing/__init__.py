"""What a completion costs: prices from several sources, compiled to integers, applied to its usage.

`sources` know prices, `rate` applies them exactly, `book` asks the sources in order and keeps what they said.
"""
