"""What Redis runs for gateways, each in one go."""

from importlib import resources


def read_script(name: str) -> str:
    """The source of a script."""
    return resources.files(__name__).joinpath(f"{name}.lua").read_text("utf-8")
