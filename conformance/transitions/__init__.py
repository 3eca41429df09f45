"""Every transition of the model's controller, taken on a controller that can be copied, and compared."""
