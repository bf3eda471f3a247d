"""Check whether this machine can run the course: python -m helpers.doctor (the checks are in tools/doctor.py)."""

import sys

from tools.doctor import main

if __name__ == "__main__":
    sys.exit(main())
