// connect-es on Node, every protocol, HTTP/1.1 and HTTP/2.    node client.mjs URL
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Interop } from "./gen/interop_pb.js";
import { cases, duplex, run, streams } from "./cases.mjs";

const baseUrl = process.argv[2];
let good = true;
for (const [name, create] of [["connect", createConnectTransport], ["grpc", createGrpcTransport], ["grpc-web", createGrpcWebTransport]]) {
  for (const httpVersion of ["1.1", "2"]) {
    if (name === "grpc" && httpVersion === "1.1") continue; // needs HTTP/2
    for (const useBinaryFormat of [true, false]) {
      const group = `connect-es ${name} HTTP/${httpVersion}${useBinaryFormat ? "" : " JSON"}`;
      const client = createClient(Interop, create({ baseUrl, httpVersion, useBinaryFormat, useHttpGet: name === "connect" }));
      for (const set of httpVersion === "2" ? [cases, streams, duplex] : [cases, streams])
        good = (await run(group, set, client, console.log)) && good;
    }
  }
}
process.exit(good ? 0 : 1);
