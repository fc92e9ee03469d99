"""The script that a model's process starts with: it finds the child beside itself.

A script is compiled at every start, a module once; so there is no more here than has to be. The
``comp_core`` that it loads is this one whatever the interpreter has installed, or has not.
"""

import sys

_OWN = __file__.rpartition("/")[0]
# Our own directory must not shadow the model's imports: it holds names such as "inputs".
if sys.path and sys.path[0] == _OWN:
    del sys.path[0]
sys.path.insert(0, _OWN.rpartition("/")[0])
from comp_core import child  # noqa: E402  # its place is known only now

del sys.path[0]

# multiprocessing loads the main script once more in each process that it spawns.
if __name__ == "__main__":
    child.main()
