"""A PostgreSQL data directory ("cluster"): where it lies, making it, whose it is."""

import json
import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from simulators.embedded.postgres import Account, DatabaseError, PostgresInstall, own_directory
from simulators.embedded.state import write_private

_INITDB_SECONDS = 120
_LEFTOVER_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Access:
    """What is kept about a finished cluster, in a file of mode 0600: what made it, where, its password."""

    kind: str
    cluster: str
    password: str

    @classmethod
    def read(cls, path: Path) -> "Access | None":
        """Read it back; None where there is none, so that the cluster is unfinished or not there."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise DatabaseError(f"{path} is damaged; remove {path.parent} to begin anew") from None


def locate_cluster(install: PostgresInstall, state_dir: Path) -> Path:
    """Choose the data directory: in the state directory, or in a place of ours if no server can reach that.

    Under a root of its own it lies inside that root. The same arguments always give the same place.
    """
    if install.root != Path("/"):
        return own_directory(install.root / "var/lib/arceaux", state_dir) / "cluster"
    account = install.account
    if account is None or all(_may_enter(parent, account) for parent in (state_dir, *state_dir.parents)):
        return state_dir / "cluster"
    return own_directory(Path("/var/tmp"), state_dir) / "cluster"  # noqa: S108 - own_directory checks whose it is


def open_cluster(install: PostgresInstall, cluster: Path, access_file: Path, *, sync: bool) -> Access:
    """Make the cluster, unless it is there already, and tell its password.

    The access file is written last: a cluster without one is unfinished, or its state directory was removed,
    and it is made anew. Raises DatabaseError where the data is of another kind of server or making it failed.
    """
    access = Access.read(access_file)
    if access is not None and Path(access.cluster, "PG_VERSION").exists():
        if (access.kind, access.cluster) != (install.kind, str(cluster)):
            raise DatabaseError(
                f"{access.cluster} holds data of {access.kind}, and this is {install.describe()}; "
                f"remove {access_file.parent} to begin anew"
            )
        return access
    access = Access(install.kind, str(cluster), secrets.token_urlsafe(24))
    if cluster.exists():
        end_leftovers(cluster)
        shutil.rmtree(cluster)
    _initialise(install, cluster, access.password, sync=sync)
    write_private(access_file, json.dumps(asdict(access)))
    return access


def end_leftovers(cluster: Path) -> None:
    """End the server that an unclean stop left running here, and remove its stale lock file.

    Only for the holder of the state directory's lock. PostgreSQL takes a stale file for a live server when
    the number in it has gone to another process meanwhile, as after a restart of a container.
    """
    lock = cluster / "postmaster.pid"
    if not lock.exists():
        return
    # Every process of a server works in its data directory.
    home = str(cluster.resolve())
    leftovers = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == home]
    first = lock.read_text(encoding="utf-8").partition("\n")[0]
    for process in leftovers:
        if str(process.pid) == first:
            process.send_signal(signal.SIGINT)
    alive = psutil.wait_procs(leftovers, timeout=_LEFTOVER_SECONDS)[1]
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=_LEFTOVER_SECONDS)
    lock.unlink(missing_ok=True)


def _initialise(install: PostgresInstall, cluster: Path, password: str, *, sync: bool) -> None:
    cluster.mkdir(mode=0o700)
    password_file = cluster.with_name("initial-password")
    write_private(password_file, password)
    if (account := install.account) is not None:
        for path in (cluster, password_file):
            os.chown(path, account.uid, account.gid)
    options = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]
    options += [f"--pwfile={install.inside(password_file)}", f"--pgdata={install.inside(cluster)}"]
    try:
        with install.spawn("initdb", *options, *([] if sync else ["--no-sync"])) as process:
            output = _output(process)
        if process.returncode != 0:
            raise DatabaseError(f"the database could not be made in {cluster}:\n{output}")
    finally:
        password_file.unlink(missing_ok=True)


def _output(process: "subprocess.Popen[bytes]") -> str:
    try:
        return process.communicate(timeout=_INITDB_SECONDS)[0].decode("utf-8", "replace").strip()
    except subprocess.TimeoutExpired:
        process.kill()
        raise DatabaseError(f"initdb did not end within {_INITDB_SECONDS} s") from None


def _may_enter(directory: Path, account: Account) -> bool:
    status = directory.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & 0o100)
    return bool(status.st_mode & (0o010 if status.st_gid == account.gid else 0o001))
