"""What is measured in the chapter on DB-AAE, a module an experiment."""
