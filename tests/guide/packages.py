"""What is in the Debian packages, unpacked into a folder (nothing is installed):

    packages.py FOLDER             holding the .deb files
    packages.py FOLDER --symbols   enter what the library has come to export into debian/libweft0.symbols

Each package has what belongs in it and nothing is in two; the programs run; a program is built with the
headers and the library of the packages and runs; every symbol of the library is in debian/libweft0.symbols;
what ./dev installs to build is what debian/control asks for."""

import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BELONGS = {
    "libweft0": [r"/usr/lib/[\w-]+/libweft\.so\.0"],
    "libweft-dev": [r"/usr/include/weft/weft\.h", r"/usr/include/weft/admin\.h", r"/usr/lib/[\w-]+/libweft\.(a|so)",
                    r"/usr/lib/[\w-]+/pkgconfig/weft\.pc", r"/usr/share/man/man3/weft_send\.3\.gz"],
    "weftd": [r"/usr/bin/weftd", r"/etc/weft/weftd\.yaml", r"/lib/systemd/system/weftd\.service",
              r"/usr/lib/sysusers\.d/weft\.conf", r"/usr/share/man/man8/weftd\.8\.gz", r"/usr/share/man/man5/weftd\.yaml\.5\.gz"],
    "weft": [r"/usr/bin/weft", r"/usr/share/man/man1/weft-pub\.1\.gz", r"/usr/share/man/man7/weft-routes\.7\.gz",
             r"/usr/share/bash-completion/completions/weft", r"/usr/share/zsh/vendor-completions/_weft",
             r"/usr/share/doc/weft/guide\.md(\.gz)?"],
}
IMPLIED = {"gcc", "libc6-dev", "python3", "ninja-build"}  # by build-essential, or written another way in control


def run(*argv, **how):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **how)
    if done.returncode:
        sys.exit(f"packages: {' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def version():
    return re.match(r"weft \(([^)]*)\)", read("debian", "changelog"))[1]


def unpack(folder, root):
    """Every package into `root`, after looking at what it holds."""
    owner = {}
    for package, patterns in BELONGS.items():
        (deb,) = glob.glob(os.path.join(folder, f"{package}_*.deb"))
        files = {line.split(maxsplit=5)[5].split(" -> ")[0].lstrip(".") for line in
                 run("dpkg-deb", "-c", deb).splitlines() if not line.startswith("d")}
        for pattern in patterns:
            if not any(re.fullmatch(pattern, file) for file in files):
                sys.exit(f"packages: {package} has no {pattern}")
        for file in files:
            if file in owner:
                sys.exit(f"packages: {file} is in {owner[file]} and in {package}")
            owner[file] = package
        run("dpkg-deb", "-x", deb, root)


def programs_run(root, libraries):
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
    for program in ("weft", "weftd"):
        said = run(os.path.join(root, "usr/bin", program), "--version", env=environment)
        if said != f"{program} {version()}\n":
            sys.exit(f"packages: {program} --version says {said!r}, debian/changelog {version()}")
    flags = run("pkg-config", "--cflags", "--libs", "weft", env={
        **os.environ, "PKG_CONFIG_PATH": os.path.join(libraries, "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": root}).split()
    program = os.path.join(root, "installed")
    run("gcc", "-Wall", "-Werror", "-o", program, os.path.join(ROOT, "tools/installed.c"), *flags)
    run(program, env=environment)


def symbols_are_known(libraries, save):
    found = set(re.findall(r" [TBDR] (weft_\w+)", run("nm", "-D", "--defined-only", f"{libraries}/libweft.so.0")))
    known = dict(re.findall(r"^ (weft_\w+)@Base (.*)$", read("debian", "libweft0.symbols"), re.M))
    if save:
        known.update({name: version() for name in found - set(known)})
        with open(os.path.join(ROOT, "debian", "libweft0.symbols"), "w", encoding="utf-8") as file:
            file.write("libweft.so.0 libweft0 #MINVER#\n* Build-Depends-Package: libweft-dev\n" +
                       "".join(f" {name}@Base {since}\n" for name, since in sorted(known.items())))
    if found != set(known):
        sys.exit(f"packages: debian/libweft0.symbols lacks {sorted(found - set(known))} (see --symbols), "
                 f"and has {sorted(set(known) - found)} too many (they must stay in the library)")


def same_needs():
    """A package that ./dev installs to build and that control does not name would be missing elsewhere."""
    ours = set(re.search(r"^BUILD_PACKAGES=\((.*?)\)", read("dev"), re.S | re.M)[1].split()) - IMPLIED
    asked = re.search(r"^Build-Depends:(.*?)^\S", read("debian", "control"), re.S | re.M)[1]
    asked = {re.sub(r"[ (:].*", "", item.strip()) for item in asked.split(",")} - {"python3", "debhelper-compat"}
    asked = {item for item in asked if not item.startswith("dh-sequence-")}
    if ours != asked:
        sys.exit(f"packages: debian/control and ./dev differ in what the build needs: {sorted(ours ^ asked)}")


def main(folder, save):
    same_needs()
    with tempfile.TemporaryDirectory() as root:
        unpack(folder, root)
        (library,) = glob.glob(os.path.join(root, "usr/lib/*/libweft.so.0"))
        programs_run(root, os.path.dirname(library))
        symbols_are_known(os.path.dirname(library), save)
    print(f"packages: {', '.join(BELONGS)}: whole, and they run")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--symbols"]):
        sys.exit(__doc__)
    main(sys.argv[1], bool(sys.argv[2:]))
