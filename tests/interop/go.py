"""grpc-go and connect-go against our server, every kind of stream, in clear text and with TLS; what they call lies in go/."""
import sys
import tempfile

import support

client = support.tool('interop-go', 'scripts/deps interop builds it', 'build/deps/interop/interop-go')
if sys.argv[1] == 'clear':
    server = support.interop()
    support.cases(153, client, 'clients', server.address)
else:
    with tempfile.TemporaryDirectory() as folder:
        pem = support.certificate(folder)
        server = support.interop('--certificate', pem)
        support.cases(153, client, '-certificate', pem + '.crt', 'clients', server.address)
server.stop()
support.done()
