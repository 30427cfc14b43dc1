"""The training sets out of manuals: which packages hold them, which pages are read, under which licences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from search_r3.data.pairs import TrainingPair
from search_r3.data.parsed import Sources
from search_r3.data.sources.manual_sections import manual_pairs, read_manual
from search_r3.data.training_set import TrainingSet
from search_r3.errors import DataError

_SPHINX = r"^_|(?:^|/)(?:genindex|search|py-modindex|contents)\b|(?:^|/)(?:release|changelog|whatsnew)"
"""Paths of pages in manuals made with Sphinx that hold indexes, sources or news."""


@dataclass(frozen=True)
class _Manual:
    """One manual of a set.

    Attributes:
        subject: What it is about.
        package: The pinned package.
        folder: Where it is inside.
        pages: Pattern of its pages' names.
        skip: Regular expression of the paths of pages that are left out.
        terms: Whether terms of its lists of definitions are read; of an interface, they are its functions.
    """

    subject: str
    package: str
    folder: str
    pages: str = "*.html"
    skip: str = ""
    terms: bool = True


def _mallard(subject: str, package: str, folder: str) -> _Manual:
    return _Manual(subject, package, f"usr/share/help/C/{folder}", "*.page")


def _openstack(subject: str, name: str) -> _Manual:
    skip = _SPHINX + r"|^(?:contributor|api|reference)/|^configuration/(?:sample|policy|samples)"
    return _Manual(subject, f"{name}-doc", f"usr/share/doc/{name}-doc/html", skip=skip)


def _kde(subject: str, package: str, folder: str) -> _Manual:
    return _Manual(subject, package, f"usr/share/doc/HTML/en/{folder}", "*.docbook")


_MANUALS: dict[str, tuple[str, tuple[_Manual, ...]]] = {
    "manual_gimp": (
        "GFDL-1.2-or-later, no invariant sections",
        (_Manual("GIMP", "gimp-help-en", "usr/share/gimp/2.0/help/en"),),
    ),
    "manual_libreoffice": (
        "MPL-2.0",
        (_Manual("LibreOffice", "libreoffice-help-en-us", "usr/share/libreoffice/help/en-US/text"),),
    ),
    "manual_gnome": (
        "CC BY-SA 3.0; GFDL without invariant sections (MATE, Gnumeric), GPL-2.0-or-later (gedit), LGPL-2.1 "
        "(Shotwell)",
        (
            _mallard("GNOME", "gnome-user-docs", ""),
            _mallard("Evolution", "evolution-common", "evolution"),
            _mallard("Orca screen reader", "orca", "orca"),
            _mallard("Shotwell", "shotwell-common", "shotwell"),
            _mallard("gedit", "gedit-common", "gedit"),
            _mallard("Cheese", "cheese-common", "cheese"),
            _mallard("Brasero", "brasero-common", "brasero"),
            _mallard("GNOME Terminal", "gnome-terminal-data", "gnome-terminal"),
            _Manual("MATE desktop", "mate-user-guide", "usr/share/help/C/mate-user-guide", "*.xml"),
            _Manual("Gnumeric", "gnumeric-doc", "usr/share/help/C/gnumeric", "*.xml"),
        ),
    ),
    "manual_kde": (
        "GFDL-1.2-or-later, no invariant sections",
        (
            _kde("Kate", "kate5-data", ""),
            _kde("KDE", "khelpcenter", ""),
            _kde("Tellico", "tellico-doc", "tellico"),
            _kde("KMyMoney", "kmymoney-common", "kmymoney"),
        ),
    ),
    "manual_applications": (
        "GPL-3.0 (Solfege, WSJT-X, OpenShot, WeeChat), GPL-2.0-or-later (HomeBank, Double Commander, "
        "Wireshark, NUT), GPL-2.0-or-later or CC BY-SA 3.0 (KiCad), GFDL-1.3-or-later (LilyPond), "
        "CC BY-SA 3.0 (Denemo), CC BY-SA 4.0 (FreedomBox), CC BY 3.0 (Nextcloud), MIT (beets)",
        (
            _Manual("HomeBank", "homebank-data", "usr/share/doc/homebank-data/help"),
            _Manual("KiCad", "kicad-doc-en", "usr/share/doc/kicad/help/en"),
            _Manual(
                "LilyPond",
                "lilypond-doc-html",
                "usr/share/doc/lilypond/html/Documentation",
                skip=r"^(?!(?:notation|learning|usage|music-glossary|essay)/)|\.[a-z]{2}\.html$",
            ),
            _Manual("Denemo", "denemo-doc", "usr/share/doc/denemo"),
            _Manual("Solfege", "solfege-doc", "usr/share/doc/solfege/help/C"),
            _Manual("FreedomBox", "freedombox-doc-en", "usr/share/freedombox/manual/en"),
            _Manual("OpenShot", "openshot-qt-doc", "usr/share/doc/openshot-qt/html", skip=_SPHINX),
            _Manual("WeeChat", "weechat-doc", "usr/share/doc/weechat-doc/html", "*.en.html"),
            _Manual("Wireshark", "wireshark-doc", "usr/share/doc/wireshark/wsug_html_chunked"),
            _Manual("NUT power devices", "nut-doc", "usr/share/doc/nut-doc/html/user-manual"),
            _Manual("Double Commander", "doublecmd-help-en", "usr/share/doublecmd/doc/en"),
            _Manual("WSJT-X", "wsjtx-doc", "usr/share/doc/wsjtx"),
            _Manual("beets", "beets-doc", "usr/share/doc/beets/html", skip=_SPHINX),
            _Manual(
                "Nextcloud client",
                "nextcloud-desktop-doc",
                "usr/share/doc/nextcloud-desktop/html",
                skip=_SPHINX,
            ),
        ),
    ),
    "manual_science": (
        "GNU permissive documentation notice (Octave, R, LaTeX), GPL-2.0-or-later (GRASS)",
        (
            _Manual("GNU Octave", "octave-doc", "usr/share/doc/octave/octave.html", skip="[Ii]ndex"),
            _Manual("R", "r-doc-html", "usr/share/R/doc/manual", skip="R-ints"),
            _Manual("LaTeX", "texstudio-doc", "usr/share/doc/texstudio/html", "latex2e.html"),
            _Manual("GRASS GIS", "grass-doc", "usr/share/doc/grass-doc/html"),
        ),
    ),
    "manual_cmake": (
        "BSD-3-Clause",
        (_Manual("CMake", "cmake-doc", "usr/share/doc/cmake-data/html", skip=_SPHINX),),
    ),
    "manual_shell": (
        "GFDL-1.3 without invariant sections (Bash), public domain (Advanced Bash-Scripting Guide)",
        (
            _Manual("Bash", "bash-doc", "usr/share/doc/bash", "bashref.html"),
            _Manual("Bash scripting", "abs-guide", "usr/share/doc/abs-guide/html"),
        ),
    ),
    "manual_debian": (
        "GPL-2.0-or-later; FAQ: permissive; handbook: also CC BY-SA 3.0",
        (
            _Manual("Debian", "debian-handbook", "usr/share/doc/debian-handbook/html/en-US"),
            _Manual("Debian", "debian-reference-en", "usr/share/debian-reference", "*.en.html"),
            _Manual("Debian", "debian-faq", "usr/share/doc/debian/FAQ"),
            _Manual("Debian security", "harden-doc", "usr/share/doc/harden-doc/html/en-US"),
            _Manual("Debian policy", "debian-policy", "usr/share/doc/debian-policy/policy.html"),
            _Manual("Debian development", "developers-reference", "usr/share/developers-reference"),
            _Manual(
                "Debian installation", "installation-guide-amd64", "usr/share/doc/installation-guide-amd64/en"
            ),
            _Manual("aptitude", "aptitude-doc-en", "usr/share/doc/aptitude/html/en"),
        ),
    ),
    "manual_git": ("GPL-2.0", (_Manual("Git", "git-doc", "usr/share/doc/git-doc"),)),
    "manual_postgresql": (
        "PostgreSQL licence",
        (
            _Manual(
                "PostgreSQL",
                "postgresql-doc-15",
                "usr/share/doc/postgresql-doc-15/html",
                skip=r"^(?:release|features|sql-keywords|biblio|errcodes)",
            ),
        ),
    ),
    "manual_sqlite": (
        "public domain",
        (
            _Manual(
                "SQLite",
                "sqlite3-doc",
                "usr/share/doc/sqlite3",
                skip=r"^(?:releaselog|syntax|changes|news|oldnews|chronology)|list\.html$",
            ),
        ),
    ),
    "manual_apache": (
        "Apache-2.0",
        (_Manual("Apache HTTP Server", "apache2-doc", "usr/share/doc/apache2-doc/manual/en"),),
    ),
    "manual_linux": (
        "GPL-2.0",
        (
            _Manual(
                "Linux kernel",
                "linux-doc-6.1",
                "usr/share/doc/linux-doc-6.1/html",
                skip=r"^(?!(?:admin-guide|process|filesystems|mm|power|networking|sound|usb|scheduler|security"
                r"|doc-guide|dev-tools|hwmon|block|input|leds|watchdog|virt|locking|RCU|trace|timers|cdrom|fb"
                r"|accounting|maintainer|kbuild|PCI|i2c|x86)/)",
            ),
        ),
    ),
    "manual_python": (
        "PSF-2.0",
        (
            _Manual(
                "Python",
                "python3.11-doc",
                "usr/share/doc/python3.11/html",
                skip=_SPHINX + r"|^(?:c-api|distutils)/|^(?:about|bugs|copyright|license)\b",
            ),
        ),
    ),
    "manual_django": (
        "BSD-3-Clause",
        (
            _Manual(
                "Django",
                "python-django-doc",
                "usr/share/doc/python-django-doc/html",
                skip=_SPHINX + "|^internals",
            ),
        ),
    ),
    "manual_sqlalchemy": (
        "MIT",
        (
            _Manual(
                "SQLAlchemy",
                "python-sqlalchemy-doc",
                "usr/share/doc/python-sqlalchemy-doc/html",
                skip=_SPHINX,
                terms=False,
            ),
        ),
    ),
    "manual_rust": (
        "MIT or Apache-2.0",
        tuple(
            _Manual(
                subject,
                "rust-doc",
                f"usr/share/doc/rust-doc/html/{folder}",
                skip=r"(?:^|/)(?:print|toc)\.html$|-edition/",
            )
            for subject, folder in (
                ("Rust", "book"),
                ("Rust reference", "reference"),
                ("Unsafe Rust", "nomicon"),
                ("Rust by example", "rust-by-example"),
                ("Rust editions", "edition-guide"),
                ("Embedded Rust", "embedded-book"),
            )
        ),
    ),
    "manual_openstack": (
        "Apache-2.0",
        (
            _openstack("OpenStack Nova", "nova"),
            _openstack("OpenStack Neutron", "neutron"),
            _openstack("OpenStack Cinder", "cinder"),
            _openstack("OpenStack Keystone", "keystone"),
            _openstack("OpenStack Ironic", "ironic"),
        ),
    ),
    "manual_servers": (
        "MPL-2.0 (BIND, Kea), EPL-2.0 (Postfix), GPL-2.0 (Exim, Slurm), BSD-2-Clause (Varnish), BSD-3-Clause "
        "(Borg), GFDL-1.2 without invariant sections (Shorewall), CC BY-SA 3.0 (PostGIS, Kerberos)",
        (
            _Manual("BIND", "bind9-doc", "usr/share/doc/bind9-doc/arm", skip=_SPHINX + "|^notes"),
            _Manual("Kea DHCP", "kea-doc", "usr/share/doc/kea/html", skip=_SPHINX + "|^grammar"),
            _Manual("Postfix", "postfix-doc", "usr/share/doc/postfix/html"),
            _Manual("Exim", "exim4-doc-html", "usr/share/doc/exim4-doc-html/spec_html"),
            _Manual("Slurm", "slurm-wlm-doc", "usr/share/doc/slurm-wlm/html"),
            _Manual(
                "Varnish", "varnish-doc", "usr/share/doc/varnish/html", skip=_SPHINX + "|^(?:phk|whats-new)"
            ),
            _Manual(
                "BorgBackup",
                "borgbackup-doc",
                "usr/share/doc/borgbackup/html",
                skip=_SPHINX + "|^(?:changes|authors)",
            ),
            _Manual("Shorewall", "shorewall-doc", "usr/share/doc/shorewall-doc", "*.htm*"),
            _Manual("PostGIS", "postgis-doc", "usr/share/doc/postgis-doc"),
            _Manual("Kerberos", "krb5-doc", "usr/share/doc/krb5-doc", skip=_SPHINX + "|^appdev/refs"),
        ),
    ),
}
"""Licence and manuals of every set."""


def _pairs(name: str, manuals: tuple[_Manual, ...], sources: Sources) -> list[TrainingPair]:
    sections = []
    for manual in manuals:
        try:
            folder = sources.file(manual.package, manual.folder.rstrip("/"))
        except DataError as error:
            if len(manuals) == 1:
                raise
            sources.missing[manual.package] = str(error)
            continue
        manual_id = f"{manual.package}/{folder.name}"
        read = read_manual(folder, manual_id, manual.subject, manual.pages, manual.skip)
        sections += [item for item in read if manual.terms or not item.section.is_term]
    return manual_pairs(name, sections)


def _subjects(manuals: tuple[_Manual, ...]) -> str:
    return ", ".join(dict.fromkeys(manual.subject for manual in manuals))


MANUAL_SETS: dict[str, TrainingSet] = {
    name: TrainingSet(
        f"heading -> section, first sentence -> what follows it (manuals: {_subjects(manuals)})",
        licence,
        partial(_pairs, name, manuals),
    )
    for name, (licence, manuals) in _MANUALS.items()
}
"""Pairs for supervised training, made of manuals."""
