"""The pages that show a run, a profile, a comparison, a probe."""
