"""Neural nets and their training: the only place that imports torch, and never discovered as an engine."""
