"""Where a run's files lie in the artifacts store: one folder for each of its workflows."""

from typing import Final

METADATA: Final = "metadata.json"
CAR: Final = "record.car"


def run_path(run: str, workflow_id: str, name: str) -> str:
    """Return the relative path of a file of one workflow of a run.

    Args:
        run: the run's name in the journal; may hold anything but backslashes.
        workflow_id: 64 hex digits, with or without `0x`: a superseding workflow never overwrites
            the files of the one before it.
        name: of the file.
    """
    folder = "/".join(part.replace(":", "-").replace("+", "-") for part in run.split("/"))
    return f"runs/{folder}/{workflow_id.removeprefix('0x')}/{name}"
