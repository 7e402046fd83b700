import os
import subprocess
import sys


def test_a_user_without_a_name_gets_one():
    """As in a container that runs under a number: torch and submitit ask for the name."""
    code = """
import getpass, pwd
def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
import ood_bench
print(getpass.getuser())
"""
    names = ("USER", "LOGNAME", "LNAME", "USERNAME")
    nameless = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run([sys.executable, "-c", code], env=nameless, capture_output=True, text=True, check=True)
    assert done.stdout == f"uid{os.getuid()}\n"
