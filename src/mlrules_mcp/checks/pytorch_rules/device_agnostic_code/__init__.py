"""Write device-agnostic code that works on both CPU and GPU."""
