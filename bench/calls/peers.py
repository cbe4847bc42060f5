"""The servers that race: ours, and those that can be built or found. What is fetched lies under build/deps, what is made
under build/bench/calls. A peer that this machine cannot have is named with the reason, never left out silently."""
import glob
import os
import shutil
import socket
import subprocess
import time

import bodies


class Missing(Exception):
    """Why a peer cannot be had here."""


class Peer:
    def __init__(self, name, scratch, argv, kinds=('grpc', 'connect'), messages=('echo', 'ingest'), http1=True,
                 canned=False, version='', environment=None):
        self.name, self.scratch, self.argv, self.version = name, scratch, argv, version
        self.kinds, self.messages, self.http1, self.canned = kinds, messages, http1, canned
        self.environment = dict(os.environ, **(environment or {}))

    def command(self, work):
        return self.argv(work) if callable(self.argv) else self.argv

    def worker(self, pid):
        """The process whose time counts."""
        return pid

    def answers(self, work):
        return work.kind in self.kinds and work.message in self.messages and (self.http1 or not work.http1)

    def holds_idle(self, http1):
        """Whether its idle connections are measured: by a call over gRPC, or over HTTP/1.1 by Connect."""
        return self.http1 and 'connect' in self.kinds if http1 else 'grpc' in self.kinds


def sh(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **more)
    if done.returncode:
        raise Missing(f'{" ".join(command[:4])} failed: {(done.stderr or done.stdout).strip()[-600:]}')
    return done.stdout.strip()


def newer(made, *sources):
    return os.path.exists(made) and all(os.path.getmtime(s) <= os.path.getmtime(made) for s in sources)


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Missing(f'{tool} is not installed')


def ours(root, scratch, path):
    if not path:
        sh([f'{root}/scripts/build', 'zcrpc-bench-server'], cwd=root)
        path = f'{root}/build/release/bin/zcrpc-bench-server'
    return Peer('zcrpc', scratch, [path, '--port', '0', '--threads', '1'])


def grpcpp(root, scratch):
    """Debian's gRPC C++, built with -O3 as its library is with -O2."""
    need('protoc', 'grpc_cpp_plugin', 'pkg-config', 'g++')
    here, out = f'{root}/bench/calls/grpcpp', f'{scratch}/grpcpp'
    proto = f'{root}/bench/server/bench.proto'
    made = f'{out}/grpcpp-server'
    if not newer(made, f'{here}/server.cc', proto):
        os.makedirs(out, exist_ok=True)
        plugin = shutil.which('grpc_cpp_plugin')
        sh(['protoc', f'-I{os.path.dirname(proto)}', f'--cpp_out={out}', f'--grpc_out={out}',
            f'--plugin=protoc-gen-grpc={plugin}', 'bench.proto'])
        flags = sh(['pkg-config', '--cflags', '--libs', 'grpc++', 'protobuf']).split()
        sh(['g++', '-std=c++17', '-O3', '-DNDEBUG', f'-I{out}', f'{here}/server.cc', f'{out}/bench.pb.cc',
            f'{out}/bench.grpc.pb.cc', '-o', made] + flags + ['-pthread'])
    return Peer('grpc++', scratch, [made, '0'], kinds=('grpc',), version=sh(['pkg-config', '--modversion', 'grpc++']))


def crate(name, package):
    """One of the two servers of bench/calls/rust, from the crates registry."""
    def make(root, scratch):
        if not os.path.exists(f'{scratch}/rust/release/{name}-server'):
            sh([f'{root}/scripts/deps', 'cargo'], cwd=root)
        need('cargo', 'protoc')
        here = f'{root}/bench/calls/rust'
        made = f'{scratch}/rust/release/{name}-server'
        sources = glob.glob(f'{here}/src/*.rs') + [f'{here}/{f}' for f in ('Cargo.toml', 'Cargo.lock', 'build.rs')]
        if not newer(made, *sources, f'{root}/bench/server/bench.proto'):
            print(f'building {name} (once; some minutes)', flush=True)
            sh(['cargo', 'build', '--release', '--locked', '--target-dir', f'{scratch}/rust'], cwd=here,
               env=dict(os.environ, BENCH_PROTO=f'{root}/bench/server'))
        with open(f'{here}/Cargo.toml') as f:
            version = [line.split('"=')[1].split('"')[0] for line in f if line.startswith(f'{package} = ')][0]
        kinds = ('grpc',) if name == 'tonic' else ('grpc', 'connect')
        return Peer(name, scratch, [made], kinds=kinds, version=version)
    return make


def go(name, package):
    """One of the two servers of bench/calls/go, from the module proxy. One core serves, so GOMAXPROCS is 1."""
    def make(root, scratch):
        here, out = f'{root}/bench/calls/go', f'{scratch}/go'
        sh([f'{root}/scripts/deps', 'go'], cwd=root)
        need('protoc')
        tool = f'{root}/build/deps/bin/go'
        made, proto = f'{out}/bin/{name}', f'{root}/bench/server/bench.proto'
        sources = glob.glob(f'{here}/**/*.go', recursive=True) + [f'{here}/go.mod', f'{here}/go.sum', proto]
        if not newer(made, *sources):
            print(f'building {name}', flush=True)
            shutil.copytree(here, out, dirs_exist_ok=True)
            os.makedirs(f'{out}/benchv1', exist_ok=True)
            sh([tool, 'build', '-o', 'bin/protoc-gen-go', 'google.golang.org/protobuf/cmd/protoc-gen-go'], cwd=out)
            sh(['protoc', f'-I{os.path.dirname(proto)}', f'--plugin=protoc-gen-go={out}/bin/protoc-gen-go',
                f'--go_out={out}/benchv1', '--go_opt=paths=source_relative', '--go_opt=Mbench.proto=bench/benchv1',
                'bench.proto'])
            sh([tool, 'build', '-o', 'bin/', f'./{name}'], cwd=out)
        with open(f'{here}/go.mod') as f:
            version = [line.split()[1][1:] for line in f if line.strip().startswith(package + ' v')][0]
        kinds = ('grpc',) if name == 'grpc-go' else ('grpc', 'connect')
        return Peer(name, scratch, [made], kinds=kinds, version=version, environment={'GOMAXPROCS': '1'})
    return make


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Nginx(Peer):
    """`return 200` to a POST, with the bytes of the answer: the floor of a web server that knows them beforehand."""

    def answers(self, work):
        return super().answers(work) and work.message == 'echo'

    def worker(self, pid):
        # It listens before its worker is there.
        for _ in range(200):
            with open(f'/proc/{pid}/task/{pid}/children') as f:
                for child in f.read().split():
                    try:
                        with open(f'/proc/{child}/comm') as name:
                            if name.read().strip() == 'nginx':
                                return int(child)
                    except (FileNotFoundError, ProcessLookupError):
                        pass  # gone meanwhile
            time.sleep(0.01)
        raise SystemExit('nginx: no worker')

    def holds_idle(self, http1):
        return True


def nginx(root, scratch):
    program, libraries = shutil.which('nginx'), ''
    if not program:
        sh([f'{root}/scripts/deps', 'fronts'], cwd=root)
        unpacked = f'{root}/build/deps/fronts/root/usr'
        program, libraries = f'{unpacked}/sbin/nginx', f'{unpacked}/lib/x86_64-linux-gnu'
    out = f'{scratch}/nginx'
    os.makedirs(f'{out}/logs', exist_ok=True)
    os.makedirs(f'{out}/lib', exist_ok=True)
    # Only what is no part of the system's own: a second libc would not do.
    for file in glob.glob(f'{libraries}/*.so*') if libraries else []:
        if not os.path.lexists(f'{out}/lib/{os.path.basename(file)}'):
            os.symlink(file, f'{out}/lib/{os.path.basename(file)}')

    def command(work):
        # A wrapper that says where it listens, like all the others; exec keeps the process id.
        port = free_port()
        kind = work.kind
        with open(f'{scratch}/echo.{kind}', 'rb') as f:
            body = f.read()
        if b'$' in body:
            raise SystemExit('nginx: this seed makes a body with a $, which its configuration cannot hold')
        quoted = body.replace(b'\\', b'\\\\').replace(b'"', b'\\"')
        http2 = '' if work.http1 else ' http2'
        with open(f'{out}/nginx.conf', 'wb') as f:
            f.write(f'''daemon off; user root; worker_processes 1; pid {out}/pid; error_log {out}/logs/error.log;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {out}/body; proxy_temp_path {out}/proxy; fastcgi_temp_path {out}/fastcgi;
  uwsgi_temp_path {out}/uwsgi; scgi_temp_path {out}/scgi; default_type application/{"grpc" if kind == "grpc" else "proto"};
  keepalive_requests 100000000; keepalive_timeout 600; http2_max_requests 100000000; http2_max_concurrent_streams 256;
  server {{ listen 127.0.0.1:{port}{http2} backlog=1024; location / {{ return 200 "'''.encode() + quoted + b'"; } }\n}\n')
        wait = f'while ! (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done'
        return ['bash', '-c', f'({wait}; echo listening 127.0.0.1:{port}) & '
                f'LD_LIBRARY_PATH={out}/lib exec {program} -p {out} -c {out}/nginx.conf']

    version = subprocess.run([program, '-v'], capture_output=True, text=True, check=False,
                             env=dict(os.environ, LD_LIBRARY_PATH=f'{out}/lib')).stderr.strip().split('/')[-1]
    if not version:
        raise Missing(f'{program} does not run')
    return Nginx('nginx', scratch, command, canned=True, version=version)


def plain_tool(root, scratch, name):
    """A small C program of bench/calls/plain."""
    need('gcc')
    source, made = f'{root}/bench/calls/plain/{name}.c', f'{scratch}/plain-{name}'
    if not newer(made, source):
        sh(['gcc', '-std=c11', '-O2', '-Wall', '-Wextra', '-o', made, source])
    return made


class Plain(Peer):
    def answers(self, work):
        return super().answers(work) and work.message == 'echo'

    def holds_idle(self, http1):
        return False


def plain(root, scratch):
    """An epoll loop of recv and send that parses nothing: what the system calls alone cost."""
    made = plain_tool(root, scratch, 'loop')

    def command(work):
        with open(f'{scratch}/echo.{work.kind}', 'rb') as f:
            parts = bodies.canned(work.kind, work.http1, f.read())
        files = []
        for i, part in enumerate(parts):
            files.append(f'{scratch}/plain.{work.name}.{i}')
            with open(files[-1], 'wb') as f:
                f.write(part)
        return [made, 'http1' if work.http1 else 'http2'] + files

    return Plain('plain loop', scratch, command, canned=True)


MAKERS = {
    'connect-rust': crate('connect-rust', 'connectrpc'),
    'tonic': crate('tonic', 'tonic'),
    'grpc++': grpcpp,
    'connect-go': go('connect-go', 'connectrpc.com/connect'),
    'grpc-go': go('grpc-go', 'google.golang.org/grpc'),
    'nginx': nginx,
    'plain loop': plain,
}


def rivals(root, scratch, wanted):
    """Those that can be had, and {name: why} of those that cannot."""
    found, missing = [], {}
    for name, make in MAKERS.items():
        if wanted and name not in wanted:
            continue
        try:
            found.append(make(root, scratch))
        except Missing as e:
            missing[name] = str(e)
            print(f'{name} is missing: {e}', flush=True)
    return found, missing
