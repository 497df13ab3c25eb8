"""What is measured in the chapter on the convolutional CVAE, a module an experiment."""
