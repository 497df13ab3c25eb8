"""Keras and TensorFlow as this library takes them for granted; what makes layers or trainings imports it first."""

import keras
import tensorflow as tf

# ``~/.keras/keras.json`` may say otherwise, for other projects.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")
# Every fit has functions of its own, which TensorFlow takes for a mistake and warns of in the pages.
tf.get_logger().setLevel("ERROR")
