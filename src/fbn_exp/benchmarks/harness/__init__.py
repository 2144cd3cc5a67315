"""Tasks of lm-evaluation-harness: loading, scoring, and what code their files run."""
