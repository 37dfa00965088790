"""``python -m services.gateway.grpc.generate [--check]``: the modules made from ``inference.proto``."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_HERE = Path(__file__).parent
_PROTO = "inference.proto"
_MADE = ("inference_pb2.py", "inference_pb2.pyi")


def main(arguments: Sequence[str]) -> int:
    """Write the modules, or with ``--check`` compare; the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(sys.executable).parent / "protoc-gen-mypy"
        compiler = [sys.executable, "-m", "grpc_tools.protoc", f"--plugin={plugin}", f"--proto_path={_HERE}"]
        made_into = [f"--python_out={folder}", f"--mypy_out=quiet:{folder}"]
        subprocess.run([*compiler, *made_into, _PROTO], check=True)
        made = {name: (Path(folder) / name).read_bytes() for name in _MADE}
    for name, content in made.items():
        place = _HERE / name
        if "--check" not in arguments:
            place.write_bytes(content)
            sys.stdout.write(f"{place} written\n")
        elif not place.is_file() or place.read_bytes() != content:
            sys.stderr.write(
                f"{place} is not what {_PROTO} makes: run `python -m services.gateway.grpc.generate` "
                "and commit the result\n"
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
