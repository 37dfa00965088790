"""``python -m services.gateway``: one gateway process, until SIGTERM."""

import sys

import structlog

from atalaia import settings as all_settings
from atalaia.errors import SettingsError
from atalaia.telemetry import logs, sharing

_log = structlog.get_logger()


def main() -> int:
    """Run the gateway; the status it ends with."""
    logs.configure("gateway")
    try:
        settings = all_settings.load()
    except SettingsError as error:
        _log.error("gateway cannot start", reason=str(error))
        return 2
    own = settings.gateway
    if own.metrics_dir is not None:
        sharing.share(own.metrics_dir, own.process)
    # Not before: metrics are made when their modules are imported, shared ones otherwise than others.
    from services.gateway.process import run  # noqa: PLC0415

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
