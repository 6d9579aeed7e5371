"""Loops over rows, compiled by numba when they are first called.

Whoever calls a kernel imports its module inside the function that calls: numba
takes half a second to load. Kernels hold no lock of the interpreter and start
no threads of their own; `alignet.parallel` runs several at once, which is safe
in threads and after a fork alike.
"""
