"""What is asked of Prometheus, by name: one module for each subject, on the builders of `promql`."""
