"""What can go wrong in the demonstration, in words for the person who started it."""

from pathlib import Path


class DemoError(Exception):
    """The demonstration cannot go on."""


class PortTaken(DemoError):
    """The site's port is in use."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} is taken by another program. Stop that program, or choose another "
            f"port: --port {port + 1}"
        )


class FolderTaken(DemoError):
    """Two demonstrations would share one database and one stand-in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another demonstration is running in {folder}. End it first, or name another folder "
            "in the environment: COMP_DEMO_DIR=…"
        )


class FiguresDisagree(DemoError):
    """Two places that should hold the same amount do not: see the lines marked above."""


class StoppedEarly(DemoError):
    """Interrupted before the figures could be compared."""

    def __init__(self) -> None:
        super().__init__(
            "Stopped before the end of the story. Start it again: it goes on from here."
        )
