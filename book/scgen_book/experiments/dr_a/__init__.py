"""What is measured in the chapter on DR-A, a module an experiment."""
