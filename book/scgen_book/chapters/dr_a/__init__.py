"""What the chapter on DR-A shows and says."""
