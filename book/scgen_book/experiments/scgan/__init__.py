"""What is measured in the chapter on scGAN and cscGAN, a module an experiment."""
