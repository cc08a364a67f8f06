"""What people read, in their language. The code says everything in English; French is made where words leave a program.

``choice`` says which language it is, ``catalogue`` has the French of every sentence (``french.toml``), ``written`` how a
day or a label is put, ``help`` shows what may be typed. Imports nothing of the other packages.
"""
