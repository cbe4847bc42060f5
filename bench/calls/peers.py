"""The servers that race: ours, and those that can be built or found. What is fetched or built lies under build/."""
import os
import shutil
import socket
import subprocess


class Peer:
    def __init__(self, name, scratch, argv, kinds=('grpc', 'connect'), messages=('echo', 'ingest'), http1=True,
                 canned=False, forks=False, version=''):
        self.name, self.scratch, self.argv, self.version = name, scratch, argv, version
        self.kinds, self.messages, self.http1, self.canned, self.forks = kinds, messages, http1, canned, forks

    def command(self):
        return self.argv() if callable(self.argv) else self.argv

    def worker(self, pid):
        """The process whose time counts."""
        if not self.forks:
            return pid
        with open(f'/proc/{pid}/task/{pid}/children') as f:
            return int(f.read().split()[0])

    def answers(self, work):
        return work.kind in self.kinds and work.message in self.messages and (self.http1 or not work.http1)


def sh(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        raise SystemExit(f'{" ".join(command)}\n{done.stdout}{done.stderr}')
    return done.stdout.strip()


def newer(made, *sources):
    return os.path.exists(made) and all(os.path.getmtime(s) <= os.path.getmtime(made) for s in sources)


def ours(root, scratch, path):
    if not path:
        sh([f'{root}/scripts/build', 'zcrpc-bench-server'], cwd=root)
        path = f'{root}/build/release/bin/zcrpc-bench-server'
    return Peer('zcrpc', scratch, [path, '--port', '0', '--threads', '1'])


def grpcpp(root, scratch):
    """Debian's gRPC C++, built with -O3 as its library is with -O2."""
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


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def nginx(root, scratch):
    """`return 200` to a POST: the floor of a web server that reads the request and knows the answer beforehand."""
    if not shutil.which('nginx'):
        return None
    out = f'{scratch}/nginx'
    os.makedirs(f'{out}/logs', exist_ok=True)

    def command():
        # A wrapper that says where it listens, like all the others; exec keeps the process id.
        port = free_port()
        with open(f'{out}/nginx.conf', 'w') as f:
            f.write(f'''daemon off; worker_processes 1; pid {out}/pid; error_log {out}/logs/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {out}/body; proxy_temp_path {out}/proxy; fastcgi_temp_path {out}/fastcgi;
  uwsgi_temp_path {out}/uwsgi; scgi_temp_path {out}/scgi;
  keepalive_requests 100000000; http2_max_requests 100000000; http2_max_concurrent_streams 256;
  server {{ listen 127.0.0.1:{port} HTTP2; location / {{ return 200 "0123456789012345678901234567890123456789"; }} }}
}}
'''.replace('HTTP2', http2[0]))
        wait = f'while ! (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done'
        return ['bash', '-c', f'({wait}; echo listening 127.0.0.1:{port}) & exec nginx -p {out} -c {out}/nginx.conf']

    http2 = ['http2']

    class Nginx(Peer):
        def answers(self, work):
            # 1.22 speaks one version on a clear-text port: the right one is set before the start.
            if not super().answers(work) or work.message != 'echo':
                return False
            http2[0] = '' if work.http1 else 'http2'
            return True

        def worker(self, pid):
            with open(f'/proc/{pid}/task/{pid}/children') as f:
                for child in f.read().split():
                    with open(f'/proc/{child}/comm') as name:
                        if name.read().strip() == 'nginx':
                            return int(child)
            raise SystemExit('nginx: no worker')

    return Nginx('nginx', scratch, command, canned=True, version=sh(['bash', '-c', 'nginx -v 2>&1']).split('/')[-1])


MAKERS = {
    'grpc++': grpcpp,
    'nginx': nginx,
}


def rivals(root, scratch, wanted):
    """grpc++ always; the others when they can be had, and always when asked for by name."""
    found = []
    for name, make in MAKERS.items():
        if wanted and name not in wanted:
            continue
        peer = make(root, scratch)
        if peer:
            found.append(peer)
        elif name in wanted:
            raise SystemExit(f'{name} is not to be had on this machine')
    return found
