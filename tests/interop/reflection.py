"""grpcurl and buf curl without any .proto file: what the server serves, they learn by reflection. And a browser's preflight by curl."""
import os
import tempfile

import support
from support import SOURCE, check, has, run

grpcurl = support.tool('grpcurl', 'scripts/deps interop fetches it', 'build/deps/bin/grpcurl')
buf = support.tool('buf', 'scripts/deps check fetches it', 'build/deps/npm/node_modules/.bin/buf')
with tempfile.TemporaryDirectory() as folder:
    schema = os.path.join(folder, 'echo.binpb')
    run('protoc', '-I' + os.path.join(SOURCE, 'examples/echo'), '--include_imports', '--descriptor_set_out=' + schema, 'echo.proto')
    server = support.Server('echo-server-schema', schema, '127.0.0.1:0')


def ask(*arguments, good=True):
    return run(grpcurl, '-plaintext', *arguments, good=good)


listed = ask(server.address, 'list').split()
check(listed == ['echo.v1.EchoService', 'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'], listed)
check(ask(server.address, 'list', 'echo.v1.EchoService').split() == ['echo.v1.EchoService.Echo'], 'methods')
has(ask(server.address, 'describe', 'echo.v1.EchoService'), 'rpc Echo ( .echo.v1.EchoRequest ) returns ( .echo.v1.EchoReply )', 'describe')
has(ask(server.address, 'describe', 'echo.v1.EchoRequest'), 'string text = 1;', 'describe')
has(ask(server.address, 'describe', 'echo.v1.No', good=False), 'echo.v1.No', 'describe')
answer = support.as_json(ask('-d', '{"text": "by reflection"}', server.address, 'echo.v1.EchoService/Echo'))
check(answer['text'] == 'by reflection', answer)
answer = support.as_json(ask(server.address, 'grpc.health.v1.Health/Check'))
check(answer == {'status': 'SERVING'}, answer)
has(ask('-d', '{"service": "no.Such"}', server.address, 'grpc.health.v1.Health/Check', good=False), 'NotFound', 'health')
has(ask(server.address, 'echo.v1.EchoService/No', good=False), 'does not include a method named "No"', 'no method')

for protocol in ('grpc-v1', 'grpc-v1alpha'):
    for arguments in (['--protocol', 'grpc', '--http2-prior-knowledge'], ['--protocol', 'grpcweb', '--http2-prior-knowledge'],
                      ['--protocol', 'connect', '--http2-prior-knowledge']):
        out = run(buf, 'curl', '--reflect-protocol', protocol, *arguments, '-d', '{"text": "buf"}', server.url + '/echo.v1.EchoService/Echo')
        check(support.as_json(out)['text'] == 'buf', f'{protocol} {arguments}: {out}')
out = run(buf, 'curl', '--http2-prior-knowledge', '--list-services', server.url)
check('echo.v1.EchoService' in out.split(), out)
server.stop()
support.done()
