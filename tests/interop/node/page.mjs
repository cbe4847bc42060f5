// The page for the browser: connect-web from another origin than the server's. Says what came by POST to /report.
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { Interop } from "./gen/interop_pb.js";
import { cases, run } from "./cases.mjs";

const baseUrl = new URLSearchParams(location.search).get("server");
const lines = [`agent\t${navigator.userAgent}`];
for (const [name, create] of [["connect", createConnectTransport], ["grpc-web", createGrpcWebTransport]]) {
  for (const useBinaryFormat of [true, false]) {
    const client = createClient(Interop, create({ baseUrl, useBinaryFormat, useHttpGet: name === "connect" }));
    await run(`connect-web ${name}${useBinaryFormat ? "" : " JSON"}`, cases, client, (line) => lines.push(line));
  }
}
await fetch("/report", { method: "POST", body: lines.join("\n") });
