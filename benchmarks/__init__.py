"""What the performance claims are measured with: ratios within one run, since absolute times are not stable."""
