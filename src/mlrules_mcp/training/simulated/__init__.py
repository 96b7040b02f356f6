"""A simulated accelerator: real numbers on the CPU under the strict device rules of CUDA.

It proves on a machine without a GPU that code trains on one: every operation that mixes devices fails as CUDA
fails, at the user's own line. What it can't do raises NotSimulated and is never taken for the user's fault.
"""
