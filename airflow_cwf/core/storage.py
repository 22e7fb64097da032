"""Where published evidence is kept: the port, and its errors.

StorageError           SAME       the store gave no usable answer; nothing is lost
└─ CidMismatchError    NEVER      the store holds other bytes than it was given
"""

from typing import Protocol

from airflow_cwf.core.errors import CwfError, Retry
from airflow_cwf.core.evidence.cid import Cid


class StorageError(CwfError):
    """A content store gave no usable answer. All its actions may be repeated."""

    retry = Retry.SAME


class CidMismatchError(StorageError):
    """A content store gave back other bytes than it was given; they do not count as pinned."""

    retry = Retry.NEVER


class ContentStore(Protocol):
    """Keeps blocks under their CIDs."""

    async def pin(self, root: Cid, car: bytes) -> None:
        """Store a CAR's blocks, read each back, and keep everything that its root reaches.

        May be repeated. Only a return means that it is pinned.

        Raises:
            StorageError: no usable answer; not pinned, or not known to be.
            CidMismatchError: other bytes came back.
            ConfigError: the store refuses these credentials, or is none.
            VerificationError: `car` is not the CAR of `root`; nothing was sent.
        """

    async def read(self, cid: Cid, *, max_bytes: int) -> bytes:
        """Return the bytes of one block.

        Raises:
            StorageError: no usable answer, or longer than `max_bytes`.
            VerificationError: check 2; these bytes are not the ones that `cid` names.
            ConfigError: the store refuses these credentials, or is none.
        """
