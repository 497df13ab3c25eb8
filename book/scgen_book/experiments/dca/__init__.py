"""What is measured in the chapter on DCA, a module an experiment."""
