"""What the chapters show and say of the rows of their experiments: tables, figures, findings and takeaways."""
