"""What the interop tests share: servers as programs, commands with a limit, checks that say what was wrong."""
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

SOURCE = os.environ['ZCRPC_SOURCE_DIR']
BIN = os.environ['ZCRPC_BIN_DIR']
checks = 0


def fail(text):
    print('FAILED: ' + text)
    sys.exit(1)


def check(truth, what):
    global checks
    checks += 1
    if not truth:
        fail(what)


def has(answer, part, what):
    check(part in answer, f'{what}: no {part!r} in\n{answer}')


def run(*command, data=None, good=True):
    """What the command printed; good: whether it is to succeed (None: either)."""
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    out = done.stdout.decode('utf-8', 'replace') + done.stderr.decode('utf-8', 'replace')
    check(good is None or (done.returncode == 0) == good, f'{" ".join(map(str, command))}: status {done.returncode}\n{out}')
    return out


class Server:
    """One of our programs that says where it listens."""

    def __init__(self, *command):
        self.process = subprocess.Popen([os.path.join(BIN, command[0])] + list(command[1:]), stdout=subprocess.PIPE, text=True,
                                        close_fds=False)  # a listening socket may be among them
        atexit.register(self.kill)
        line = self.process.stdout.readline().split()
        if len(line) != 2 or line[0] != 'listening':
            fail(f'{command[0]}: says {line}')
        self.address = line[1]
        self.url = 'http://' + line[1]

    def stop(self):
        """It drains and ends with 0; what it had still to say."""
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.communicate(timeout=30)[0]
        check(self.process.returncode == 0, f'{self.process.args}: status {self.process.returncode}')
        return rest

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()


def tool(name, hint, *places):
    for place in places:
        path = os.path.join(SOURCE, place)
        if os.path.exists(path):
            return path
    found = shutil.which(name)
    if not found:
        fail(f'{name} is not there; {hint}')
    return found


def telemetry():
    return Server('telemetry-server', '127.0.0.1:0')


def bench():
    return Server('zcrpc-bench-server', '--port', '0', '--threads', '1')


def interop(*flags):
    return Server('interop-server', *flags)


def certificate(folder):
    """A file with key and certificate for 127.0.0.1, which is its own authority."""
    path = os.path.join(folder, 'server.pem')
    run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost',
        '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', path + '.key', '-out', path + '.crt')
    with open(path, 'w', encoding='ascii') as both:
        for part in ('.key', '.crt'):
            with open(path + part, encoding='ascii') as one:
                both.write(one.read())
    return path


def cases(expected, *command, env=None):
    """A client that prints a line a case, ok or FAILED first; each is a check, and there are at least so many."""
    try:
        ran = subprocess.run(command, capture_output=True, timeout=100, check=False, env=env, text=True)
        out, code, said = ran.stdout, ran.returncode, ran.stderr
    except subprocess.TimeoutExpired as e:
        out, code, said = (e.stdout or b'').decode(), 'none: too late', ''
    lines = [line.split('\t') for line in out.splitlines()]
    bad = ['\t'.join(line) for line in lines if line[0] == 'FAILED']
    print(out, end='')
    check(not bad and code == 0, f'{command[0]}: status {code}\n' + '\n'.join(bad) + '\n' + said)
    good = sum(line[0] == 'ok' for line in lines)
    check(good >= expected, f'{command[0]}: {good} cases, not {expected}')
    return lines


def done():
    print(f'{checks} checks passed')


def free_port():
    """A port that nobody has; it is bound at once by who asked."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def await_port(port, process, name):
    for _ in range(200):
        check(process.poll() is None, f'{name} ended with {process.returncode}')
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    fail(f'{name} does not listen')


def as_json(text):
    try:
        return json.loads(text)
    except ValueError:
        fail(f'not JSON: {text}')
