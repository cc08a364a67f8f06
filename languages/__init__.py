"""What people read, in their language. The code says everything in English; French is made where words leave a program.

``choice`` says which language it is, ``catalogue`` has the French of every sentence (``french.toml``), ``help`` shows what
may be typed. Imports nothing of the other packages.
"""
